{{- define "converge.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "converge.selector" -}}
app.kubernetes.io/name: converge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "converge.labels" -}}
{{ include "converge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
