{{/* What KEDA asks Prometheus; the names are those of docs/reference/metrics.md. Every scheduler tells of every queue: one
answer for each. The pool's slots are counted for each of its queues: what waits in all of them is the sum. */}}
{{- define "longshore.backlogQuery" -}}
sum(max by (queue) (longshore_queue_backlog_seconds{namespace="{{ .root.Release.Namespace }}",queue=~"{{ include "longshore.queuePattern" .spec.queues | replace "\\" "\\\\" }}"}))
{{- end -}}

{{- define "longshore.busyQuery" -}}
{{- $pods := printf "namespace=\"%s\",pod=~\"%s-.*\"" .root.Release.Namespace .name -}}
100 * sum(longshore_worker_slots_busy{ {{- $pods -}} }) / sum(longshore_worker_slots{ {{- $pods -}} })
{{- end -}}
