{{/* What the schema cannot see: values that contradict each other. Each sentence says what to set. */}}
{{- define "longshore.checks" -}}
{{- $root := . -}}
{{- $values := .Values -}}
{{- if and $values.development.enabled (not $values.development.password) -}}
{{- fail "development.enabled needs development.password: set 16 letters and digits or more, or set development.enabled=false and servers.amqp.existingSecret and servers.redis.existingSecret" -}}
{{- end -}}
{{- if and $values.development.enabled (or $values.servers.amqp.existingSecret $values.servers.redis.existingSecret) -}}
{{- fail "development.enabled brings its own RabbitMQ and Redis: remove servers.amqp.existingSecret and servers.redis.existingSecret, or set development.enabled=false" -}}
{{- end -}}
{{- if and $values.development.enabled $values.rabbitmqCluster.enabled -}}
{{- fail "development.enabled and rabbitmqCluster.enabled both bring a RabbitMQ: set one of them to false" -}}
{{- end -}}
{{- if and $values.rabbitmqCluster.enabled (eq (mod (int $values.rabbitmqCluster.replicas) 2) 0) -}}
{{- fail (printf "rabbitmqCluster.replicas is %d: set an odd number, 3 or 5, so that a majority exists" (int $values.rabbitmqCluster.replicas)) -}}
{{- end -}}
{{- include "longshore.checkSecrets" (dict "root" $root "at" "scheduler" "own" $values.scheduler.existingSecret) -}}
{{- include "longshore.checkGateway" $root -}}
{{- if not $values.workers -}}
{{- fail "workers is empty: set a pool, for example workers.default={}; with workers elsewhere, set workers.default.replicas=0" -}}
{{- end -}}
{{- range $name, $_ := $values.workers -}}
{{- $pool := include "longshore.pool" (dict "root" $root "pool" $name) | fromYaml -}}
{{- include "longshore.checkPool" (dict "root" $root "name" $name "pool" $pool) -}}
{{- end -}}
{{- end -}}

{{- define "longshore.checkSecrets" -}}
{{- $values := .root.Values -}}
{{- $brought := or $values.development.enabled $values.rabbitmqCluster.enabled -}}
{{- if not (or .own.amqp $values.servers.amqp.existingSecret $brought) -}}
{{- fail (printf "%s has no RabbitMQ: set servers.amqp.existingSecret (or %s.existingSecret.amqp) to a Secret whose key %s holds the URL, or rabbitmqCluster.enabled=true, or for a try development.enabled=true" .at .at $values.servers.amqp.key) -}}
{{- end -}}
{{- if not (or .own.redis $values.servers.redis.existingSecret $values.development.enabled) -}}
{{- fail (printf "%s has no Redis: set servers.redis.existingSecret (or %s.existingSecret.redis) to a Secret whose key %s holds the URL, or for a try development.enabled=true" .at .at $values.servers.redis.key) -}}
{{- end -}}
{{- end -}}

{{- define "longshore.checkGateway" -}}
{{- $gateway := .Values.gateway -}}
{{- if $gateway.enabled -}}
{{- include "longshore.checkSecrets" (dict "root" . "at" "gateway" "own" $gateway.existingSecret) -}}
{{- if le (int $gateway.terminationGracePeriodSeconds) (int $gateway.preStopSeconds) -}}
{{- fail (printf "gateway.terminationGracePeriodSeconds is %d and contains preStopSeconds (%d): set it to %d or more" (int $gateway.terminationGracePeriodSeconds) (int $gateway.preStopSeconds) (add $gateway.preStopSeconds 10)) -}}
{{- end -}}
{{- if eq (int $gateway.port) (int .Values.health.port) -}}
{{- fail (printf "gateway.port and health.port are both %d: set one of them to another port" (int $gateway.port)) -}}
{{- end -}}
{{- if and $gateway.ingress.enabled (not $gateway.ingress.hosts) -}}
{{- fail "gateway.ingress.enabled needs a host: set gateway.ingress.hosts, for example {jobs.example.com}" -}}
{{- end -}}
{{- if and $gateway.httpRoute.enabled (not $gateway.httpRoute.parentRefs) -}}
{{- fail "gateway.httpRoute.enabled needs a Gateway: set gateway.httpRoute.parentRefs, for example [{name: public, namespace: gateways}]" -}}
{{- end -}}
{{- else if or $gateway.ingress.enabled $gateway.httpRoute.enabled -}}
{{- fail "gateway.ingress and gateway.httpRoute lead to the gateway, which is off: set gateway.enabled=true, or switch them off" -}}
{{- end -}}
{{- end -}}

{{- define "longshore.checkPool" -}}
{{- $pool := .pool -}}
{{- $at := printf "workers.%s" .name -}}
{{- include "longshore.checkSecrets" (dict "root" .root "at" $at "own" $pool.existingSecret) -}}
{{- $needed := include "longshore.stopSeconds" $pool | int -}}
{{- $grace := int $pool.terminationGracePeriodSeconds -}}
{{- if and $grace (le $grace $needed) -}}
{{- fail (printf "%s.terminationGracePeriodSeconds is %d, but stopping takes up to %d s (preStopSeconds + drainDeadlineSeconds + cancelGraceSeconds): set it to %d or more, or to 0 to have it computed" $at $grace $needed (add $needed 15)) -}}
{{- end -}}
{{- $scale := $pool.autoscaling -}}
{{- if ne $scale.type "none" -}}
{{- if gt (int $scale.minReplicas) (int $scale.maxReplicas) -}}
{{- fail (printf "%s.autoscaling.minReplicas (%d) is above maxReplicas (%d): set maxReplicas to %d or more" $at (int $scale.minReplicas) (int $scale.maxReplicas) (int $scale.minReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if eq $scale.type "hpa" -}}
{{- if lt (int $scale.minReplicas) 1 -}}
{{- fail (printf "%s.autoscaling.minReplicas is 0, which an HPA cannot do: set it to 1 or more, or type=keda" $at) -}}
{{- end -}}
{{- if not (or $scale.hpa.cpuUtilization $scale.hpa.metrics) -}}
{{- fail (printf "%s.autoscaling.hpa has nothing to go by: set cpuUtilization (per cent) or metrics" $at) -}}
{{- end -}}
{{- end -}}
{{- if eq $scale.type "keda" -}}
{{- if and (eq $scale.keda.trigger "rabbitmq") (not $scale.keda.rabbitmq.existingSecret) -}}
{{- fail (printf "%s.autoscaling.keda has no URL: set keda.rabbitmq.existingSecret to a Secret whose key %s holds RabbitMQ's management URL (https://USER:PASSWORD@HOST:15671/VHOST), or keda.trigger=prometheus" $at $scale.keda.rabbitmq.key) -}}
{{- end -}}
{{- if and (eq $scale.keda.trigger "prometheus") (not $scale.keda.prometheus.serverAddress) -}}
{{- fail (printf "%s.autoscaling.keda has no URL: set keda.prometheus.serverAddress, for example http://prometheus.monitoring:9090" $at) -}}
{{- end -}}
{{- if and (eq (int $scale.minReplicas) 0) (eq $scale.keda.trigger "prometheus") (contains "longshore_worker_" $scale.keda.prometheus.query) -}}
{{- fail (printf "%s.autoscaling.minReplicas is 0 and the query reads the workers' own metrics: with no pod there are none, and the pool never starts again; set minReplicas=1 or keda.trigger=rabbitmq" $at) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The longest that a pool's pod takes to stop. */}}
{{- define "longshore.stopSeconds" -}}
{{- add (int .preStopSeconds) (int .drainDeadlineSeconds) (int .cancelGraceSeconds) -}}
{{- end -}}
