#!/usr/bin/env bash
# The users of deploy/ suffice and have no more than they need: a scheduler, a worker and a producer run a job on a real
# RabbitMQ and a real Redis with them, and what they must not do is refused.
# With a folder, what scheduler, worker and gateway told of their metrics meanwhile is left there.
# With a receiver of OTLP over gRPC (rotel) in RECEIVER, it gets the traces and metrics of all of them; with PROMETHEUS, that
# scrapes the exemplars of the worker.
# usage: privileges.sh PYTHON BINARY [FOLDER]
set -euo pipefail
python=$(realpath --no-symlinks "$1")
binary=$(realpath "$2")
kept=
[ -z "${3:-}" ] || kept=$(mkdir -p "$3" && realpath "$3")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
chmod 755 "$work"
started=()
say() { printf '   %s\n' "$*" >&2; }
fail() {
    printf 'privileges: %s\n' "$*" >&2
    tail -n 20 "$work"/*.log >&2 2>/dev/null || true
    exit 1
}
finish() {
    local pid
    for pid in "${started[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
    done
    for pid in "${started[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

wait_for() {
    local what=$1 tries=0
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || fail "$what did not come"
        sleep 0.2
    done
}

# --- servers ----------------------------------------------------------------------------------------------------------

amqp_port=$(free_port)
dist_port=$(free_port)
epmd_port=$(free_port)
redis_port=$(free_port)
AMQP_HOST=127.0.0.1:$amqp_port REDIS_HOST=127.0.0.1:$redis_port \
    deploy/make-secrets "$work/secrets" >&2
chmod -R a+rX "$work/secrets"

mkdir "$work/redis"
sed -e "s#^dir .*#dir $work/redis#" -e "s#^aclfile .*#aclfile $work/secrets/redis-users.acl#" deploy/redis/redis.conf >"$work/redis.conf"
redis-server "$work/redis.conf" --port "$redis_port" --bind 127.0.0.1 >"$work/redis.log" 2>&1 &
started+=("$!")

sed -e "s#^definitions.local.path.*#definitions.local.path = $work/secrets/rabbitmq-definitions.json#" \
    -e "s#^loopback_users.*#loopback_users = none#" deploy/rabbitmq/rabbitmq.conf >"$work/rabbitmq.conf"
printf 'listeners.tcp.1 = 127.0.0.1:%s\n' "$amqp_port" >>"$work/rabbitmq.conf"
printf '[].\n' >"$work/plugins"
env HOME="$work" RABBITMQ_NODENAME="privileges$amqp_port@localhost" RABBITMQ_NODE_PORT="$amqp_port" \
    RABBITMQ_DIST_PORT="$dist_port" RABBITMQ_MNESIA_BASE="$work/mnesia" RABBITMQ_LOG_BASE="$work/log" \
    RABBITMQ_CONFIG_FILE="$work/rabbitmq" RABBITMQ_ENABLED_PLUGINS_FILE="$work/plugins" ERL_EPMD_PORT="$epmd_port" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none" RABBITMQ_LOGS=- \
    /usr/lib/rabbitmq/bin/rabbitmq-server >"$work/rabbitmq.log" 2>&1 &
started+=("$!")

# A user that may do nothing else answers the health check of docker-compose.yml.
wait_for Redis redis-cli -p "$redis_port" --no-auth-warning --user health --pass none ping

otlp=
if [ -n "${RECEIVER:-}" ]; then
    otlp=127.0.0.1:$(free_port)
    "$RECEIVER" start --otlp-grpc-endpoint "$otlp" --otlp-http-endpoint "127.0.0.1:$(free_port)" --exporter blackhole \
        --debug-log traces --debug-log metrics --debug-log-verbosity detailed >"$work/receiver.log" 2>&1 &
    started+=("$!")
fi

# --- a job --------------------------------------------------------------------------------------------------------------

# as ROLE ARGUMENTS...: the command with that role's users, from files. With how=exec it takes the place of the shell in the
# background, so that ending that one ends it.
as() {
    local role=$1
    shift
    ${how:-} env -i PATH="$PATH" HOME="$work" LONGSHORE_AMQP_URL_FILE="$work/secrets/$role-amqp-url" \
        LONGSHORE_REDIS_URL_FILE="$work/secrets/$role-redis-url" LONGSHORE_PROFILE="${profile:-quorum}" \
        LONGSHORE_WORKER__COMMANDS__COUNT__PROGRAM=/usr/bin/wc LONGSHORE_WORKER__COMMANDS__COUNT__ARGS=-c \
        LONGSHORE_WORKER__COMMANDS__FALSE__PROGRAM=/bin/false ${listen:+LONGSHORE_HEALTH__LISTEN=$listen} \
        ${listen:+${otlp:+LONGSHORE_TELEMETRY__ENDPOINT=http://$otlp LONGSHORE_TELEMETRY__METRICS_INTERVAL=1s}} \
        "$binary" "$@"
}

wait_for RabbitMQ sh -c "grep -q 'Server startup complete' '$work/rabbitmq.log'"
# The worker first: whoever comes first makes the topology.
worker_port=$(free_port)
scheduler_port=$(free_port)
how=exec listen=127.0.0.1:$worker_port as worker worker >"$work/worker.log" 2>&1 &
started+=("$!")
wait_for "the worker" sh -c "$(declare -f as); binary='$binary' work='$work'; as gateway worker ls -o json | grep -q count"
how=exec listen=127.0.0.1:$scheduler_port as scheduler scheduler >"$work/scheduler.log" 2>&1 &
started+=("$!")
say "worker and scheduler connect, and make the topology"
gateway_port=$(free_port)
gateway_probes=$(free_port)
how=exec listen=127.0.0.1:$gateway_probes as gateway gateway --listen "127.0.0.1:$gateway_port" >"$work/gateway-service.log" 2>&1 &
started+=("$!")
wait_for "the gateway" curl -sf "127.0.0.1:$gateway_port/api/v1/openapi.json"
as producer enqueue count '{"some": "text"}' --watch >"$work/job.log" 2>&1 || fail "a job of the producer did not complete"
say "a job of the producer completes"
as producer enqueue count null --in 1s --watch >"$work/later.log" 2>&1 || fail "a job that was due later did not complete"
say "one that the scheduler publishes completes"
if as producer enqueue 'false' null --max-retries 0 --watch >"$work/dead.log" 2>&1; then
    fail "a job whose program fails has completed"
fi
# The scheduler copies it to the broker's archive, the gateway's user requeues and discards.
wait_for "the dead letter" sh -c "$(declare -f as); binary='$binary' work='$work'; as gateway dlq ls -o json | grep -q '\"false\"'"
as gateway dlq ls >"$work/dlq.log" 2>&1 || fail "the gateway's users cannot list dead letters"
as gateway worker ls >"$work/workers.log" 2>&1 || fail "the gateway's users cannot list workers"
as gateway queue pause default >"$work/pause.log" 2>&1 || fail "the gateway's users cannot pause a queue"
as gateway queue resume default >>"$work/pause.log" 2>&1 || fail "the gateway's users cannot resume a queue"
as gateway enqueue count null --watch >"$work/gateway.log" 2>&1 || fail "a job of the gateway did not complete"
say "dead letters, workers and queues are the gateway's to see and change"
if grep -h "NOPERM\|ACCESS_REFUSED" "$work"/*.log >"$work/refusals"; then
    fail "somebody was refused what it needs: $(head -n 3 "$work/refusals")"
fi

if [ -n "$kept" ]; then
    wait_for "the fleet's metrics" sh -c "curl -s 127.0.0.1:$scheduler_port/metrics | grep -q '^longshore_queue_jobs{'"
    curl -sf "127.0.0.1:$scheduler_port/metrics" >"$kept/scheduler.metrics"
    curl -sf "127.0.0.1:$worker_port/metrics" >"$kept/worker.metrics"
    curl -sf "127.0.0.1:$gateway_probes/metrics" >"$kept/gateway.metrics"
    say "scheduler, worker and gateway tell their metrics"
fi

if [ -n "$otlp" ]; then
    for told in dispatch_outbox process longshore.job.run.duration longshore.queue.backlog longshore.gateway.streams; do
        wait_for "$told at the receiver over gRPC" grep -q "$told" "$work/receiver.log"
    done
    say "a receiver that nobody here wrote has traces and metrics over gRPC"
fi
# Exemplars need traces to point to.
if [ -n "$otlp" ] && [ -n "${PROMETHEUS:-}" ]; then
    prometheus_port=$(free_port)
    printf 'global: {scrape_interval: 1s}\nscrape_configs:\n  - {job_name: worker, static_configs: [{targets: ["127.0.0.1:%s"]}]}\n' \
        "$worker_port" >"$work/prometheus.yml"
    "$PROMETHEUS" --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" --enable-feature=exemplar-storage \
        --web.listen-address="127.0.0.1:$prometheus_port" >"$work/prometheus.log" 2>&1 &
    started+=("$!")
    for histogram in wait run; do
        query="query=longshore_job_${histogram}_duration_seconds_bucket&start=$(($(date +%s) - 600))&end=$(($(date +%s) + 600))"
        wait_for "an exemplar of $histogram in Prometheus" sh -c \
            "curl -s 'http://127.0.0.1:$prometheus_port/api/v1/query_exemplars?$query' | grep -q '\"trace_id\"'"
    done
    say "Prometheus has the traces that the wait and run histograms point to"
fi

# --- and no more --------------------------------------------------------------------------------------------------------

redis_as() {
    local role=$1 url
    shift
    url=$(cat "$work/secrets/$role-redis-url")
    redis-cli --no-auth-warning -u "$url" "$@" 2>&1
}
for role in scheduler worker gateway producer; do
    for command in FLUSHALL "CONFIG GET dir" "KEYS x" "SHUTDOWN NOSAVE" "ACL LIST" MONITOR "DEBUG SLEEP 0" "GET other" "SUBSCRIBE other"; do
        # shellcheck disable=SC2086
        answer=$(redis_as "$role" $command </dev/null | head -n 1)
        case $answer in *NOPERM* | *"not allowed"*) ;; *) fail "Redis lets $role do $command: $answer" ;; esac
    done
done
answer=$(redis_as producer HGETALL longshore:operations)
case $answer in *NOPERM*) ;; *) fail "Redis lets the producer read operations: $answer" ;; esac
answer=$(redis-cli -p "$redis_port" ping 2>&1)
case $answer in *NOAUTH*) ;; *) fail "Redis answers a stranger: $answer" ;; esac
say "Redis refuses everybody what nobody needs"

"$python" scripts/chart/amqp_refusals.py "$work/secrets" || fail "RabbitMQ gives somebody more than it needs"
say "RabbitMQ lets the producer read no job, the worker publish none, and nobody make other queues"
printf 'the users of deploy/ suffice, and have no more\n'
