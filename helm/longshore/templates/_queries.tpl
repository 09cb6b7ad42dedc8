{{/* What KEDA asks Prometheus; the names are those of docs/reference/metrics.md. */}}
{{- define "longshore.backlogQuery" -}}
max(longshore_queue_backlog_seconds{queue=~"{{ include "longshore.queuePattern" .spec.queues | replace "\\" "\\\\" }}"})
{{- end -}}

{{- define "longshore.busyQuery" -}}
{{- $pods := printf "namespace=\"%s\",pod=~\"%s-.*\"" .root.Release.Namespace .name -}}
100 * sum(longshore_worker_slots_busy{ {{- $pods -}} }) / sum(longshore_worker_slots{ {{- $pods -}} })
{{- end -}}
