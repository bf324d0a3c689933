// One mqtt.js client, driven by JSON commands on standard input: see README.md.

const mqtt = require('mqtt');
const readline = require('node:readline');

const names = {
  payload_format: 'payloadFormatIndicator',
  message_expiry: 'messageExpiryInterval',
  content_type: 'contentType',
  response_topic: 'responseTopic',
  correlation_data: 'correlationData',
  user: 'userProperties',
  identifiers: 'subscriptionIdentifier',
  will_delay: 'willDelayInterval',
  session_expiry: 'sessionExpiryInterval',
  receive_maximum: 'receiveMaximum',
  maximum_packet_size: 'maximumPacketSize',
  maximum_qos: 'maximumQoS',
  assigned_client_id: 'assignedClientIdentifier',
  server_keep_alive: 'serverKeepAlive',
  reason_string: 'reasonString',
};

const emit = (event, fields) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

function properties(values) {
  const result = {};
  for (const [name, value] of Object.entries(values ?? {})) {
    if (name === 'correlation_data') {
      result[names[name]] = Buffer.from(value, 'hex');
    } else if (name === 'payload_format') {
      result[names[name]] = value === 1;
    } else if (name === 'user') {
      const user = {};
      for (const [key, item] of value) {
        user[key] = key in user ? [].concat(user[key], item) : item;
      }
      result[names[name]] = user;
    } else {
      result[names[name]] = value;
    }
  }
  return result;
}

function described(values) {
  const result = {};
  for (const [name, word] of Object.entries(names)) {
    const value = values?.[word];
    if (value === undefined || value === null) continue;
    if (name === 'correlation_data') {
      result[name] = Buffer.from(value).toString('hex');
    } else if (name === 'payload_format') {
      result[name] = value ? 1 : 0;
    } else if (name === 'user') {
      result[name] = Object.entries(value).flatMap(([key, items]) => [].concat(items).map((item) => [key, item]));
    } else if (name === 'identifiers') {
      result[name] = [].concat(value);
    } else {
      result[name] = value;
    }
  }
  return result;
}

// QoS 1 publishes in flight, at most.
const inFlight = 200;

// Longer payloads are not printed, but held against the pattern.
const longest = 65536;

const pattern = (size) => Buffer.from(Uint8Array.from({ length: size }, (_, at) => at % 251));

const payloadOf = ({ size, payload = '' }) => (size ? pattern(size) : Buffer.from(payload, 'hex'));

const describedPayload = (payload) =>
  (payload.length > longest
    ? { size: payload.length, is_pattern: payload.equals(pattern(payload.length)) }
    : { payload: payload.toString('hex') });

let client;
let five;
let reason = null;

const commands = {
  connect(command) {
    five = command.version === 5;
    const options = {
      host: command.host,
      port: command.port,
      protocol: 'mqtt',
      protocolVersion: command.version,
      clientId: command.client_id ?? '',
      clean: command.clean ?? true,
      keepalive: command.keep_alive ?? 60,
      reconnectPeriod: command.reconnect === true ? 100 : command.reconnect ?? 0,
      resubscribe: false,
    };
    if (five) options.properties = properties(command.properties);
    if (command.will) {
      const { topic, qos = 0, retain = false } = command.will;
      options.will = { topic, payload: payloadOf(command.will), qos, retain };
      if (five) options.will.properties = properties(command.will.properties);
    }
    client = mqtt.connect(options);
    client.on('connect', (packet) =>
      emit('connack', {
        code: packet.reasonCode ?? packet.returnCode,
        session_present: packet.sessionPresent,
        properties: described(packet.properties),
      }));
    client.on('message', (topic, payload, packet) =>
      emit('message', {
        topic,
        ...describedPayload(payload),
        qos: packet.qos,
        retain: packet.retain,
        dup: packet.dup,
        properties: described(packet.properties),
      }));
    client.on('disconnect', (packet) => { reason = packet.reasonCode; });
    client.on('close', () => emit('closed', { code: reason }));
    client.on('error', (error) => emit('error', { message: String(error), code: error.code ?? null }));
  },
  subscribe(command) {
    const filters = {};
    for (const each of command.filters) {
      filters[each.filter] = {
        qos: each.qos ?? 0,
        nl: each.no_local ?? false,
        rap: each.retain_as_published ?? false,
        rh: each.retain_handling ?? 0,
      };
    }
    const more = command.identifier ? { properties: { subscriptionIdentifier: command.identifier } } : {};
    client.subscribe(filters, more, (error, granted, packet) =>
      emit('suback', { codes: packet?.granted ?? granted?.map((each) => each.qos) ?? [error?.code ?? 128] }));
  },
  unsubscribe(command) {
    client.unsubscribe(command.filters, (error, packet) =>
      emit('unsuback', { codes: packet?.granted ?? [] }));
  },
  publish(command) {
    const { topic, qos = 0, retain = false } = command;
    const more = five ? { properties: properties(command.properties) } : {};
    client.publish(topic, payloadOf(command), { qos, retain, ...more }, (error, packet) =>
      emit('published', { code: error ? error.code ?? 128 : packet?.reasonCode ?? 0 }));
  },
  publish_many(command) {
    // By itself the library does not keep to the server's Receive Maximum.
    let sent = 0;
    let done = 0;
    const next = () => {
      if (sent === command.count) return;
      client.publish(command.topic, String(sent), { qos: command.qos ?? 0 }, () => {
        done += 1;
        if (done === command.count) emit('published_all', { count: command.count });
        next();
      });
      sent += 1;
    };
    for (let first = 0; first < inFlight; first += 1) next();
  },
  disconnect(command) {
    client.end(false, five ? { reasonCode: command.reason ?? 0 } : {});
  },
};

readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on('close', () => process.exit(0));
