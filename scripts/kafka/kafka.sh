#!/usr/bin/env bash
# A real single-node Apache Kafka (KRaft) on loopback, for a first try, tests and measurements.
#
#   kafka.sh fetch              only bring Kafka's jars
#   kafka.sh start DIR [PORT]   start a broker whose files live in DIR; prints host:port when it answers
#   kafka.sh run DIR [PORT]     as start, then wait until standard input ends, and stop it
#   kafka.sh address DIR        print host:port of the running broker; exit status 1 if it does not run
#   kafka.sh stop DIR           stop it (SIGTERM, waits)
#   kafka.sh kill DIR           kill -9, as a crash would
#   kafka.sh classpath          print the class path of Kafka's jars, for a program of one's own
#   kafka.sh cli CLASS ...      an admin tool, e.g. `cli org.apache.kafka.tools.TopicCommand --bootstrap-server …`
#
# PORT 0 or none: a free port, kept for DIR. A second `start` on the same DIR continues with its data.
# Needs Java 17+ and Maven (Debian: openjdk-17-jre-headless, maven); the jars come through Maven
# once, into $KAFKA_LIBS (default: ~/.cache/zilla/kafka/VERSION).
# Environment: KAFKA_HEAP (default 512m), KAFKA_EXTRA (lines for server.properties, the last word on each
# property; read at every start), KAFKA_CLUSTER_ID (of a DIR that is new; else a random one).
#
# Several nodes of one cluster: a DIR each, the same KAFKA_CLUSTER_ID, and in KAFKA_EXTRA the node.id,
# all controller.quorum.voters, and the listeners that they name. Start them side by side: the first
# answers when most of the voters run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")
libs=${KAFKA_LIBS:-${XDG_CACHE_HOME:-$HOME/.cache}/zilla/kafka/$version}
heap=${KAFKA_HEAP:-512m}

fail() { echo "kafka.sh: $*" >&2; exit 1; }

fetch() {
  [ -e "$libs/.complete" ] && return
  command -v java > /dev/null || fail "Java 17 or later is missing; install it: sudo apt-get install openjdk-17-jre-headless"
  command -v mvn > /dev/null || fail "Maven is missing; install it: sudo apt-get install maven"
  mkdir -p "$libs"
  exec 8> "$libs/.lock"
  flock 8
  if [ ! -e "$libs/.complete" ]; then
    mvn -q -B -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies \
      -DoutputDirectory="$libs" -DincludeScope=runtime >&2 < /dev/null \
      || fail "Maven could not bring Kafka $version (see above); run again when the network answers"
    touch "$libs/.complete"
  fi
  exec 8>&-
}

java_run() { # heap, class, arguments
  local heap=$1; shift
  ${java_run:-} java "-Xmx$heap" -cp "$here:$libs/*" "-Dlog4j2.configurationFile=$here/log4j2.properties" "$@"
}

answers() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

# Below the range from which the kernel takes the ports of outgoing connections, so that none of
# those can come between the choice and the bind.
free_port() {
  local port
  for _ in $(seq 100); do
    port=$(shuf -n 1 -i 20000-32000)
    answers "$port" || { echo "$port"; return; }
  done
  fail "no free port on 127.0.0.1"
}

alive() { [ -e "$1/pid" ] && kill -0 "$(cat "$1/pid")" 2> /dev/null; }

configure() { # dir, port, controller port
  cat > "$1/server.properties" << EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$3
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3
advertised.listeners=PLAINTEXT://127.0.0.1:$2
controller.listener.names=CONTROLLER
log.dirs=$1/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.backoff.ms=1000
${KAFKA_EXTRA:-}
EOF
}

start() {
  local dir=$1 port=${2:-0} controller
  fetch
  mkdir -p "$dir"; dir=$(cd "$dir" && pwd)
  exec 9> "$dir/lock"
  flock 9
  if [ ! -e "$dir/ports" ]; then
    [ "$port" != 0 ] || port=$(free_port)
    controller=$(free_port)
    while [ "$controller" = "$port" ]; do controller=$(free_port); done
    echo "$port $controller" > "$dir/ports"
  fi
  read -r port controller < "$dir/ports"
  if alive "$dir"; then exec 9>&-; echo "127.0.0.1:$port"; return; fi
  if answers "$port"; then fail "port $port is taken by another program; stop it, or delete $dir to begin anew on another port"; fi
  configure "$dir" "$port" "$controller"
  if [ ! -e "$dir/data/meta.properties" ]; then
    local id=${KAFKA_CLUSTER_ID:-$(java_run 64m kafka.tools.StorageTool random-uuid)}
    java_run 256m kafka.tools.StorageTool format --cluster-id "$id" --config "$dir/server.properties" \
      > "$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; exit 1; }
  fi
  if [ -e "$dir/kafka.log" ]; then mv "$dir/kafka.log" "$dir/kafka.log.before"; fi
  # A session of its own: Ctrl-C in the terminal must reach who uses the broker first.
  (java_run="exec setsid"; java_run "$heap" -XX:+UseSerialGC kafka.Kafka "$dir/server.properties") \
    > "$dir/kafka.log" 2>&1 < /dev/null 8>&- 9>&- &
  echo $! > "$dir/pid"
  # Else the shell says so where the broker is killed, which is what was asked for.
  disown
  for _ in $(seq 600); do
    if grep -qs 'Kafka Server started' "$dir/kafka.log" && answers "$port"; then exec 9>&-; echo "127.0.0.1:$port"; return; fi
    alive "$dir" || { tail -20 "$dir/kafka.log" >&2; fail "the broker ended; its log is $dir/kafka.log"; }
    sleep 0.1
  done
  fail "no answer after 60 s; see $dir/kafka.log"
}

run() {
  trap 'finish "$1" TERM; exit' INT TERM HUP
  start "$@"
  # A background command reads /dev/null unless told otherwise, and only `wait` lets the trap run at once.
  exec 7<&0
  cat <&7 > /dev/null &
  wait $! || true
  finish "$1" TERM
}

finish() { # dir, signal
  local pid; pid=$(cat "$1/pid" 2> /dev/null) || return 0
  kill "-$2" "$pid" 2> /dev/null || true
  while kill -0 "$pid" 2> /dev/null; do sleep 0.05; done
  rm -f "$1/pid"
}

case "${1:-} $#" in
  "fetch 1") fetch ;;
  "start "[23]) start "$2" "${3:-0}" ;;
  "run "[23]) run "$2" "${3:-0}" ;;
  "address 2") alive "$2" || exit 1; read -r port _ < "$2/ports"; echo "127.0.0.1:$port" ;;
  "stop 2") finish "$2" TERM ;;
  "kill 2") finish "$2" KILL ;;
  "classpath 1") fetch; echo "$here:$libs/*" ;;
  "cli "*) fetch; shift; java_run 256m -Dkafka.log.level=WARN "$@" ;;
  *) sed -n '2,21s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
