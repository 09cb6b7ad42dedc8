{{/* Names and labels. A part is scheduler, gateway, or worker with the pool's name. */}}

{{- define "longshore.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "longshore.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "longshore.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What never changes of a part's labels. Takes (dict "root" $ "part" "worker" "pool" "default"). */}}
{{- define "longshore.selector" -}}
app.kubernetes.io/name: {{ include "longshore.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- with .pool }}
longshore.io/pool: {{ . }}
{{- end }}
{{- end -}}

{{/* All labels of an object. `part` may be missing. */}}
{{- define "longshore.labels" -}}
{{- if .part -}}
{{ include "longshore.selector" . }}
{{- else -}}
app.kubernetes.io/name: {{ include "longshore.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: longshore
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Name, namespace and labels. Takes what longshore.selector takes, and `name`. */}}
{{- define "longshore.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "longshore.labels" . | nindent 2 }}
{{- end -}}

{{- define "longshore.partName" -}}
{{- $full := include "longshore.fullname" .root -}}
{{- if .pool -}}{{ $full }}-worker-{{ .pool }}{{- else -}}{{ $full }}-{{ .part }}{{- end -}}
{{- end -}}

{{/* A pool with its defaults, as YAML. Takes (dict "root" $ "pool" NAME). */}}
{{- define "longshore.pool" -}}
{{- $own := get .root.Values.workers .pool | default dict -}}
{{- mergeOverwrite (deepCopy .root.Values.workerDefaults) (deepCopy $own) | toYaml -}}
{{- end -}}

{{/* The image of a part. Takes (dict "root" $ "image" OVERRIDE). */}}
{{- define "longshore.image" -}}
{{- $own := .image | default dict -}}
{{- $repository := default .root.Values.image.repository $own.repository -}}
{{- $digest := $own.digest -}}
{{- $tag := $own.tag -}}
{{- if not (or $own.repository $own.tag $own.digest) -}}
{{- $digest = .root.Values.image.digest -}}
{{- $tag = default .root.Chart.AppVersion .root.Values.image.tag -}}
{{- end -}}
{{- if $digest -}}{{ $repository }}@{{ $digest }}{{- else -}}{{ $repository }}:{{ default .root.Chart.AppVersion $tag }}{{- end -}}
{{- end -}}
