{{/* The pod of a part. Takes (dict "root" $ "part" PART "pool" NAME "spec" VALUES "args" ARGS "grace" SECONDS). */}}
{{- define "longshore.podTemplate" -}}
{{- $root := .root -}}
{{- $spec := .spec -}}
{{- $pod := mergeOverwrite (deepCopy $root.Values.pod) (deepCopy ($spec.pod | default dict)) -}}
{{- $name := include "longshore.partName" . -}}
metadata:
  labels:
    {{- include "longshore.labels" . | nindent 4 }}
    {{- with $pod.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A change of the configuration rolls the pods.
    checksum/config: {{ include "longshore.config" . | sha256sum }}
    kubectl.kubernetes.io/default-container: longshore
    {{- with $pod.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- $costs := and (eq .part "worker") $spec.podDeletionCost.enabled }}
  serviceAccountName: {{ include "longshore.fullname" $root }}{{ if $costs }}-deletion-cost{{ end }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .grace }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $pod.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $pod.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with $pod.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $pod.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $pod.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if ne $pod.topologySpread "none" }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: {{ $pod.topologySpread }}
      # A rolling update counts the new pods alone.
      matchLabelKeys: [pod-template-hash]
      labelSelector:
        matchLabels:
          {{- include "longshore.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  securityContext:
    {{- include "longshore.podSecurity" $pod | nindent 4 }}
  {{- if $costs }}
  initContainers:
    {{- include "longshore.deletionCost" . | nindent 4 }}
  {{- end }}
  containers:
    - name: longshore
      image: {{ include "longshore.image" (dict "root" $root "image" $spec.image) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      {{- with $spec.command }}
      command:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .args }}
      args:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      env:
        {{- include "longshore.env" (dict "root" $root "own" $spec.existingSecret "extra" $spec.extraEnv) | nindent 8 }}
      ports:
        - name: health
          containerPort: {{ $root.Values.health.port }}
        {{- if eq .part "gateway" }}
        - name: http
          containerPort: {{ $spec.port }}
        {{- end }}
      # Up to five minutes to reach the servers.
      startupProbe:
        httpGet: {path: /startupz, port: health}
        periodSeconds: 2
        failureThreshold: 150
      # A worker that hears nothing is not alive; a server that is away is no reason to restart anybody.
      livenessProbe:
        httpGet: {path: /livez, port: health}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: health}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      {{- with $spec.preStopSeconds }}
      lifecycle:
        preStop:
          sleep: {seconds: {{ . }}}
      {{- end }}
      resources:
        {{- toYaml $spec.resources | nindent 8 }}
      securityContext:
        {{- include "longshore.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/longshore, readOnly: true}
        - {name: servers, mountPath: /run/longshore/servers, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- with $pod.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ $name }}
    {{- include "longshore.serversVolume" (dict "root" $root "own" $spec.existingSecret) | nindent 4 }}
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- if $costs }}
    {{- include "longshore.deletionCostVolume" . | nindent 4 }}
    {{- end }}
    {{- with $pod.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* Pod security standard "restricted". */}}
{{- define "longshore.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .runAsUser }}
runAsGroup: {{ .runAsUser }}
fsGroup: {{ .runAsUser }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "longshore.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* The URLs come as files, never as values of variables: a variable shows in `kubectl describe` and in core dumps. */}}
{{- define "longshore.env" -}}
- {name: LONGSHORE_CONFIG, value: /etc/longshore/longshore.toml}
- {name: LONGSHORE_AMQP_URL_FILE, value: /run/longshore/servers/amqp_url}
- {name: LONGSHORE_REDIS_URL_FILE, value: /run/longshore/servers/redis_url}
{{- if .root.Values.servers.tls.amqpCaKey }}
- {name: LONGSHORE_AMQP_CA_FILE, value: /run/longshore/servers/amqp_ca.pem}
{{- end }}
{{- if .root.Values.servers.tls.redisCaKey }}
- {name: LONGSHORE_REDIS_CA_FILE, value: /run/longshore/servers/redis_ca.pem}
{{- end }}
{{- with .extra }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "longshore.amqpSecret" -}}
{{- $values := .root.Values -}}
{{- if .own.amqp -}}{{ .own.amqp }}
{{- else if $values.servers.amqp.existingSecret -}}{{ $values.servers.amqp.existingSecret }}
{{- else if $values.rabbitmqCluster.enabled -}}{{ include "longshore.fullname" .root }}-rabbitmq-default-user
{{- else -}}{{ include "longshore.fullname" .root }}-development
{{- end -}}
{{- end -}}

{{- define "longshore.amqpKey" -}}
{{- $values := .root.Values -}}
{{- if or .own.amqp $values.servers.amqp.existingSecret (not $values.rabbitmqCluster.enabled) -}}
{{ $values.servers.amqp.key }}
{{- else -}}connection_string
{{- end -}}
{{- end -}}

{{- define "longshore.redisSecret" -}}
{{- $values := .root.Values -}}
{{- if .own.redis -}}{{ .own.redis }}
{{- else if $values.servers.redis.existingSecret -}}{{ $values.servers.redis.existingSecret }}
{{- else -}}{{ include "longshore.fullname" .root }}-development
{{- end -}}
{{- end -}}

{{- define "longshore.serversVolume" -}}
{{- $values := .root.Values -}}
- name: servers
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ include "longshore.amqpSecret" . }}
          items:
            - {key: {{ include "longshore.amqpKey" . }}, path: amqp_url}
      - secret:
          name: {{ include "longshore.redisSecret" . }}
          items:
            - {key: {{ $values.servers.redis.key }}, path: redis_url}
      {{- with $values.servers.tls }}
      {{- if .existingSecret }}
      - secret:
          name: {{ .existingSecret }}
          items:
            {{- with .amqpCaKey }}
            - {key: {{ . }}, path: amqp_ca.pem}
            {{- end }}
            {{- with .redisCaKey }}
            - {key: {{ . }}, path: redis_ca.pem}
            {{- end }}
      {{- end }}
      {{- end }}
{{- end -}}
