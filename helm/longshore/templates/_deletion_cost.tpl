{{/* A side-car that writes what its worker has running into the pod's deletion cost. It alone sees a token, which the
kubelet renews hourly; what the Role allows is said in serviceaccount.yaml. */}}
{{- define "longshore.deletionCost" -}}
- name: deletion-cost
  image: {{ include "longshore.image" (dict "root" .root "image" dict) }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  # Before the worker, and until after its end.
  restartPolicy: Always
  args:
    - pod-cost
    - --metrics=http://127.0.0.1:{{ .root.Values.health.port }}/metrics
    - --interval={{ .spec.podDeletionCost.intervalSeconds }}s
  env:
    - name: POD_NAME
      valueFrom: {fieldRef: {fieldPath: metadata.name}}
    - name: POD_NAMESPACE
      valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  resources:
    requests: {cpu: 5m, memory: 16Mi, ephemeral-storage: 8Mi}
    limits: {cpu: 100m, memory: 64Mi, ephemeral-storage: 64Mi}
  securityContext:
    {{- include "longshore.containerSecurity" .root | nindent 4 }}
  volumeMounts:
    - {name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end -}}

{{- define "longshore.deletionCostVolume" -}}
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap:
          name: kube-root-ca.crt
          items:
            - {key: ca.crt, path: ca.crt}
{{- end -}}
