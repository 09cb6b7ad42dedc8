{{/* A table as TOML: its values, then its tables. Takes (dict "path" "worker.http" "table" MAP). Numbers of YAML are
floats for Helm; whole ones are written as integers. Strings of JSON are strings of TOML. */}}
{{- define "longshore.toml" -}}
{{- $path := .path -}}
{{- $lines := list -}}
{{- $tables := list -}}
{{- range $key, $value := .table -}}
{{- if kindIs "map" $value -}}
{{- $tables = append $tables $key -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $lines = append $lines (printf "%s = %s" (include "longshore.toml.key" $key) (include "longshore.toml.value" $value)) -}}
{{- end -}}
{{- end -}}
{{- if $lines -}}
{{- if $path }}
[{{ $path }}]
{{- end }}
{{ join "\n" $lines }}
{{ end -}}
{{- range $key := $tables -}}
{{- $name := include "longshore.toml.key" $key -}}
{{- $below := ternary (printf "%s.%s" $path $name) $name (ne $path "") -}}
{{- include "longshore.toml" (dict "path" $below "table" (get $.table $key)) -}}
{{- end -}}
{{- end -}}

{{- define "longshore.toml.key" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . -}}{{ . }}{{- else -}}{{ . | toJson }}{{- end -}}
{{- end -}}

{{- define "longshore.toml.value" -}}
{{- if kindIs "float64" . -}}
{{- if eq (floor .) . -}}{{ . | int64 }}{{- else -}}{{ . | toString }}{{- end -}}
{{- else if or (kindIs "int64" .) (kindIs "int" .) (kindIs "bool" .) -}}{{ . | toString }}
{{- else -}}{{ . | toJson }}
{{- end -}}
{{- end -}}

{{/* longshore.toml of a part. Takes (dict "root" $ "part" PART "pool" NAME "spec" VALUES-OF-THE-PART). */}}
{{- define "longshore.config" -}}
{{- $root := .root -}}
{{- $spec := .spec -}}
{{- $config := mergeOverwrite (deepCopy $root.Values.config) (deepCopy ($spec.config | default dict)) -}}
{{- $_ := set $config "health" (merge (dict "listen" (printf "0.0.0.0:%d" (int $root.Values.health.port))) ($config.health | default dict)) -}}
{{- if eq .part "gateway" -}}
{{- $_ := set $config "gateway" (merge (dict "listen" (printf "0.0.0.0:%d" (int $spec.port))) ($config.gateway | default dict)) -}}
{{- end -}}
{{- if eq .part "worker" -}}
{{- $worker := $config.worker | default dict -}}
{{- $_ := set $worker "max_workers" (int $spec.slots) -}}
{{- $_ := set $worker "queues" $spec.queues -}}
{{- $_ := set $worker "drain_deadline" (printf "%ds" (int $spec.drainDeadlineSeconds)) -}}
{{- $_ := set $worker "cancel_grace" (printf "%ds" (int $spec.cancelGraceSeconds)) -}}
{{- with $spec.functions.commands -}}{{- $_ := set $worker "commands" . -}}{{- end -}}
{{- with $spec.functions.http -}}{{- $_ := set $worker "http" . -}}{{- end -}}
{{- $_ := set $config "worker" $worker -}}
{{- end -}}
{{- include "longshore.toml" (dict "path" "" "table" $config) | trim -}}
{{- end -}}
