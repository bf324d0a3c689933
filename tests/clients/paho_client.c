/*
 * One client of Eclipse Paho C (MQTTAsync), driven by JSON commands on standard input: see README.md.
 *
 * The library does not tell the flags of a CONNACK that it got when it connected again by itself.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <MQTTAsync.h>
#include <cjson/cJSON.h>

/* Longer payloads are not printed, but held against the pattern. */
#define LONGEST 65536

/* QoS 1 and 2 publishes under way, at most. */
#define IN_FLIGHT 200

enum kind { BYTE, TWO, FOUR, VARIABLE, TEXT, BINARY, PAIR };

static const struct {
    const char *name;
    enum MQTTPropertyCodes code;
    enum kind kind;
} NAMES[] = {
    {"payload_format", MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR, BYTE},
    {"message_expiry", MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL, FOUR},
    {"content_type", MQTTPROPERTY_CODE_CONTENT_TYPE, TEXT},
    {"response_topic", MQTTPROPERTY_CODE_RESPONSE_TOPIC, TEXT},
    {"correlation_data", MQTTPROPERTY_CODE_CORRELATION_DATA, BINARY},
    {"user", MQTTPROPERTY_CODE_USER_PROPERTY, PAIR},
    {"identifiers", MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER, VARIABLE},
    {"will_delay", MQTTPROPERTY_CODE_WILL_DELAY_INTERVAL, FOUR},
    {"session_expiry", MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, FOUR},
    {"receive_maximum", MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, TWO},
    {"maximum_packet_size", MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, FOUR},
    {"maximum_qos", MQTTPROPERTY_CODE_MAXIMUM_QOS, BYTE},
    {"assigned_client_id", MQTTPROPERTY_CODE_ASSIGNED_CLIENT_IDENTIFER, TEXT},
    {"server_keep_alive", MQTTPROPERTY_CODE_SERVER_KEEP_ALIVE, TWO},
    {"reason_string", MQTTPROPERTY_CODE_REASON_STRING, TEXT},
};
#define COUNT (sizeof NAMES / sizeof *NAMES)

static MQTTAsync client;
static int is_five;
static int was_connected;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Of publish_many: how many are not acknowledged, of how many. */
static int left, of;

static void die(const char *what, int code) {
    fprintf(stderr, "%s: %d\n", what, code);
    exit(1);
}

/* Prints an event, and frees it. */
static void emit(const char *name, cJSON *event) {
    cJSON_AddStringToObject(event, "event", name);
    char *line = cJSON_PrintUnformatted(event);
    pthread_mutex_lock(&lock);
    puts(line);
    fflush(stdout);
    pthread_mutex_unlock(&lock);
    free(line);
    cJSON_Delete(event);
}

static void emit_code(const char *name, int code) {
    cJSON *event = cJSON_CreateObject();
    cJSON_AddNumberToObject(event, "code", code);
    emit(name, event);
}

static const char *text(const cJSON *from, const char *name) {
    const cJSON *item = cJSON_GetObjectItem(from, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static double number(const cJSON *from, const char *name, double otherwise) {
    const cJSON *item = cJSON_GetObjectItem(from, name);
    if (cJSON_IsBool(item)) return cJSON_IsTrue(item);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

static char *hex(const void *bytes, int length) {
    char *digits = malloc(2 * (size_t)length + 1);
    for (int at = 0; at < length; at++) sprintf(digits + 2 * at, "%02x", ((const unsigned char *)bytes)[at]);
    digits[2 * length] = 0;
    return digits;
}

static void *unhex(const char *digits, int *length) {
    *length = (int)strlen(digits) / 2;
    unsigned char *bytes = malloc((size_t)*length + 1);
    for (int at = 0; at < *length; at++) sscanf(digits + 2 * at, "%2hhx", bytes + at);
    return bytes;
}

static void *payload_of(const cJSON *command, int *length) {
    if (!cJSON_HasObjectItem(command, "size")) return unhex(text(command, "payload"), length);
    *length = (int)number(command, "size", 0);
    unsigned char *bytes = malloc((size_t)*length + 1);
    for (int at = 0; at < *length; at++) bytes[at] = (unsigned char)(at % 251);
    return bytes;
}

static MQTTProperties properties(const cJSON *from) {
    MQTTProperties all = MQTTProperties_initializer;
    for (size_t at = 0; at < COUNT; at++) {
        const cJSON *item = cJSON_GetObjectItem(from, NAMES[at].name), *pair;
        MQTTProperty property = {.identifier = NAMES[at].code};
        if (!item) continue;
        switch (NAMES[at].kind) {
        case BYTE: property.value.byte = (unsigned char)item->valuedouble; break;
        case TWO: property.value.integer2 = (unsigned short)item->valuedouble; break;
        case FOUR:
        case VARIABLE: property.value.integer4 = (unsigned)item->valuedouble; break;
        case TEXT:
            property.value.data.data = item->valuestring;
            property.value.data.len = (int)strlen(item->valuestring);
            break;
        case BINARY: property.value.data.data = unhex(item->valuestring, &property.value.data.len); break;
        case PAIR:
            cJSON_ArrayForEach(pair, item) {
                property.value.data.data = pair->child->valuestring;
                property.value.data.len = (int)strlen(pair->child->valuestring);
                property.value.value.data = pair->child->next->valuestring;
                property.value.value.len = (int)strlen(pair->child->next->valuestring);
                MQTTProperties_add(&all, &property);
            }
            continue;
        }
        MQTTProperties_add(&all, &property);
    }
    return all;
}

static cJSON *string_of(MQTTLenString from) {
    char *copy = strndup(from.data, (size_t)from.len);
    cJSON *item = cJSON_CreateString(copy);
    free(copy);
    return item;
}

/* The list of this name, which it makes where there is none. */
static cJSON *list(cJSON *object, const char *name) {
    cJSON *there = cJSON_GetObjectItem(object, name);
    return there ? there : cJSON_AddArrayToObject(object, name);
}

static cJSON *described(const MQTTProperties *all) {
    cJSON *object = cJSON_CreateObject();
    for (int each = 0; all && each < all->count; each++) {
        const MQTTProperty *property = &all->array[each];
        for (size_t at = 0; at < COUNT; at++) {
            const char *name = NAMES[at].name;
            if (NAMES[at].code != property->identifier) continue;
            switch (NAMES[at].kind) {
            case BYTE: cJSON_AddNumberToObject(object, name, property->value.byte); break;
            case TWO: cJSON_AddNumberToObject(object, name, property->value.integer2); break;
            case FOUR: cJSON_AddNumberToObject(object, name, property->value.integer4); break;
            case VARIABLE: cJSON_AddItemToArray(list(object, name), cJSON_CreateNumber(property->value.integer4)); break;
            case TEXT: cJSON_AddItemToObject(object, name, string_of(property->value.data)); break;
            case BINARY: {
                char *digits = hex(property->value.data.data, property->value.data.len);
                cJSON_AddStringToObject(object, name, digits);
                free(digits);
                break;
            }
            case PAIR: {
                cJSON *pair = cJSON_CreateArray();
                cJSON_AddItemToArray(pair, string_of(property->value.data));
                cJSON_AddItemToArray(pair, string_of(property->value.value));
                cJSON_AddItemToArray(list(object, name), pair);
                break;
            }
            }
        }
    }
    return object;
}

static void connack(int code, int session_present, const MQTTProperties *all) {
    cJSON *event = cJSON_CreateObject();
    cJSON_AddNumberToObject(event, "code", code);
    if (session_present >= 0) cJSON_AddBoolToObject(event, "session_present", session_present);
    cJSON_AddItemToObject(event, "properties", described(all));
    emit("connack", event);
}

static void on_connect(void *context, MQTTAsync_successData *data) {
    was_connected = 1;
    connack(0, data->alt.connect.sessionPresent, NULL);
}

static void on_connect5(void *context, MQTTAsync_successData5 *data) {
    was_connected = 1;
    connack(data->reasonCode, data->alt.connect.sessionPresent, &data->properties);
}

static void on_refusal(void *context, MQTTAsync_failureData *data) { connack(data->code, 0, NULL); }

static void on_refusal5(void *context, MQTTAsync_failureData5 *data) {
    connack(data->reasonCode, 0, &data->properties);
}

/* Called for each connection; the first is told by the call that asked for it. */
static void on_connected(void *context, char *cause) {
    if (was_connected && cause && !strcmp(cause, "automatic reconnect")) connack(0, -1, NULL);
}

static void on_lost(void *context, char *cause) { emit("closed", cJSON_CreateObject()); }

static void on_server_disconnect(void *context, MQTTProperties *all, enum MQTTReasonCodes code) {
    emit_code("closed", code);
}

static int on_message(void *context, char *topic, int topic_length, MQTTAsync_message *message) {
    cJSON *event = cJSON_CreateObject();
    cJSON_AddStringToObject(event, "topic", topic);
    cJSON_AddNumberToObject(event, "qos", message->qos);
    cJSON_AddBoolToObject(event, "retain", message->retained);
    cJSON_AddBoolToObject(event, "dup", message->dup);
    cJSON_AddItemToObject(event, "properties", described(&message->properties));
    if (message->payloadlen > LONGEST) {
        int at = 0;
        while (at < message->payloadlen && ((unsigned char *)message->payload)[at] == at % 251) at++;
        cJSON_AddNumberToObject(event, "size", message->payloadlen);
        cJSON_AddBoolToObject(event, "is_pattern", at == message->payloadlen);
    } else {
        char *digits = hex(message->payload, message->payloadlen);
        cJSON_AddStringToObject(event, "payload", digits);
        free(digits);
    }
    emit("message", event);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void done(int code) {
    if (!of) {
        emit_code("published", code);
        return;
    }
    pthread_mutex_lock(&lock);
    int is_last = --left == 0, count = of;
    if (is_last) of = 0;
    pthread_mutex_unlock(&lock);
    if (is_last) {
        cJSON *event = cJSON_CreateObject();
        cJSON_AddNumberToObject(event, "count", count);
        emit("published_all", event);
    }
}

static void on_publish(void *context, MQTTAsync_successData *data) { done(0); }
static void on_publish5(void *context, MQTTAsync_successData5 *data) { done(data->reasonCode); }
/* The end of the connection is told by itself. */
static void on_failure(void *context, MQTTAsync_failureData *data) {}
static void on_failure5(void *context, MQTTAsync_failureData5 *data) {
    if (data->reasonCode >= 0x80) done(data->reasonCode);
}

static void codes(const char *name, const int *list, int count) {
    cJSON *event = cJSON_CreateObject();
    cJSON_AddItemToObject(event, "codes", cJSON_CreateIntArray(list, count));
    emit(name, event);
}

static void on_subscribe(void *context, MQTTAsync_successData *data) {
    int count = (int)(long)context;
    codes("suback", count == 1 ? &data->alt.qos : data->alt.qosList, count);
}

static void on_subscribe_failure(void *context, MQTTAsync_failureData *data) { codes("suback", &data->code, 1); }

static void on_codes5(void *context, MQTTAsync_successData5 *data) {
    int first = data->reasonCode, count = data->alt.sub.reasonCodeCount;
    codes(context, count > 1 ? (int *)data->alt.sub.reasonCodes : &first, count > 1 ? count : 1);
}

static void on_codes_failure5(void *context, MQTTAsync_failureData5 *data) {
    int code = data->reasonCode;
    codes(context, &code, 1);
}

static void on_unsubscribe(void *context, MQTTAsync_successData *data) { codes("unsuback", NULL, 0); }

static void on_disconnect(void *context, MQTTAsync_successData *data) { emit_code("closed", 0); }
static void on_disconnect5(void *context, MQTTAsync_successData5 *data) { emit_code("closed", 0); }

static MQTTAsync_responseOptions response(const char *name) {
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.context = (void *)name;
    return options;
}

static void connect_to(const cJSON *command) {
    is_five = number(command, "version", 4) == 5;
    was_connected = 0;
    char address[100];
    snprintf(address, sizeof address, "tcp://%s:%d", text(command, "host"), (int)number(command, "port", 0));
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
    create.MQTTVersion = is_five ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    create.sendWhileDisconnected = 1;
    create.maxBufferedMessages = 100000;
    if (client) MQTTAsync_destroy(&client);
    int code = MQTTAsync_createWithOptions(&client, address, text(command, "client_id"), MQTTCLIENT_PERSISTENCE_NONE, NULL, &create);
    if (code) die("create", code);
    MQTTAsync_setCallbacks(client, NULL, on_lost, on_message, NULL);
    MQTTAsync_setConnected(client, NULL, on_connected);
    MQTTAsync_setDisconnected(client, NULL, on_server_disconnect);
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions options5 = MQTTAsync_connectOptions_initializer5;
    MQTTProperties connect_properties = properties(cJSON_GetObjectItem(command, "properties"));
    const cJSON *asked = cJSON_GetObjectItem(command, "will");
    MQTTProperties will_properties = properties(cJSON_GetObjectItem(asked, "properties"));
    if (is_five) {
        options = options5;
        options.cleanstart = (int)number(command, "clean", 1);
        options.connectProperties = &connect_properties;
        options.onSuccess5 = on_connect5;
        options.onFailure5 = on_refusal5;
    } else {
        options.cleansession = (int)number(command, "clean", 1);
        options.MQTTVersion = MQTTVERSION_3_1_1;
        options.onSuccess = on_connect;
        options.onFailure = on_refusal;
    }
    options.keepAliveInterval = (int)number(command, "keep_alive", 60);
    options.maxInflight = IN_FLIGHT;
    options.automaticReconnect = (int)number(command, "reconnect", 0);
    options.minRetryInterval = 1;
    options.maxRetryInterval = 1;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    if (cJSON_IsObject(asked)) {
        will.topicName = text(asked, "topic");
        will.payload.data = payload_of(asked, &will.payload.len);
        will.qos = (int)number(asked, "qos", 0);
        will.retained = (int)number(asked, "retain", 0);
        options.will = &will;
        if (is_five) options.willProperties = &will_properties;
    }
    code = MQTTAsync_connect(client, &options);
    if (code) die("connect", code);
}

static void subscribe(const cJSON *command) {
    const cJSON *filters = cJSON_GetObjectItem(command, "filters"), *each;
    int count = cJSON_GetArraySize(filters), at = 0;
    char *names[count];
    int qos[count];
    MQTTSubscribe_options list[count];
    cJSON_ArrayForEach(each, filters) {
        MQTTSubscribe_options one = MQTTSubscribe_options_initializer;
        one.noLocal = (unsigned char)number(each, "no_local", 0);
        one.retainAsPublished = (unsigned char)number(each, "retain_as_published", 0);
        one.retainHandling = (unsigned char)number(each, "retain_handling", 0);
        names[at] = (char *)text(each, "filter");
        qos[at] = (int)number(each, "qos", 0);
        list[at++] = one;
    }
    MQTTAsync_responseOptions options = response("suback");
    if (is_five) {
        options.onSuccess5 = on_codes5;
        options.onFailure5 = on_codes_failure5;
        options.subscribeOptions = list[0];
        options.subscribeOptionsList = list;
        options.subscribeOptionsCount = count;
        MQTTProperty identifier = {.identifier = MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER};
        identifier.value.integer4 = (unsigned)number(command, "identifier", 0);
        if (identifier.value.integer4) MQTTProperties_add(&options.properties, &identifier);
    } else {
        options.context = (void *)(long)count;
        options.onSuccess = on_subscribe;
        options.onFailure = on_subscribe_failure;
    }
    int code = MQTTAsync_subscribeMany(client, count, names, qos, &options);
    if (code) die("subscribe", code);
}

static void unsubscribe(const cJSON *command) {
    const cJSON *filters = cJSON_GetObjectItem(command, "filters"), *each;
    int count = cJSON_GetArraySize(filters), at = 0;
    char *names[count];
    cJSON_ArrayForEach(each, filters) names[at++] = each->valuestring;
    MQTTAsync_responseOptions options = response("unsuback");
    if (is_five) {
        options.onSuccess5 = on_codes5;
        options.onFailure5 = on_codes_failure5;
    } else {
        options.onSuccess = on_unsubscribe;
    }
    int code = MQTTAsync_unsubscribeMany(client, count, names, &options);
    if (code) die("unsubscribe", code);
}

static void publish(const cJSON *command, const void *payload, int length) {
    MQTTAsync_message message = MQTTAsync_message_initializer;
    message.payload = (void *)payload;
    message.payloadlen = length;
    message.qos = (int)number(command, "qos", 0);
    message.retained = (int)number(command, "retain", 0);
    MQTTAsync_responseOptions options = response(NULL);
    if (is_five) {
        message.properties = properties(cJSON_GetObjectItem(command, "properties"));
        options.onSuccess5 = on_publish5;
        options.onFailure5 = on_failure5;
    } else {
        options.onSuccess = on_publish;
        options.onFailure = on_failure;
    }
    int code = MQTTAsync_sendMessage(client, text(command, "topic"), &message, &options);
    if (code) die("publish", code);
    MQTTProperties_free(&message.properties);
}

static void publish_many(const cJSON *command) {
    left = of = (int)number(command, "count", 0);
    for (int sent = 0, count = of; sent < count; sent++) {
        char payload[20];
        publish(command, payload, sprintf(payload, "%d", sent));
    }
}

static void disconnect(const cJSON *command) {
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    MQTTAsync_disconnectOptions options5 = MQTTAsync_disconnectOptions_initializer5;
    if (is_five) {
        options = options5;
        options.reasonCode = (enum MQTTReasonCodes)(int)number(command, "reason", 0);
        options.onSuccess5 = on_disconnect5;
    } else {
        options.onSuccess = on_disconnect;
    }
    int code = MQTTAsync_disconnect(client, &options);
    if (code) die("disconnect", code);
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        cJSON *command = cJSON_Parse(line);
        const char *act = text(command, "do");
        if (!strcmp(act, "connect")) connect_to(command);
        else if (!strcmp(act, "subscribe")) subscribe(command);
        else if (!strcmp(act, "unsubscribe")) unsubscribe(command);
        else if (!strcmp(act, "publish_many")) publish_many(command);
        else if (!strcmp(act, "disconnect")) disconnect(command);
        else if (!strcmp(act, "publish")) {
            int length;
            void *payload = payload_of(command, &length);
            publish(command, payload, length);
            free(payload);
        } else die(line, -1);
        cJSON_Delete(command);
    }
    return 0;
}
