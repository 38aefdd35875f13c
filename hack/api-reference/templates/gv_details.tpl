{{- define "gvDetails" -}}
## {{ .GroupVersionString }}

{{ .Doc }}

Kinds: {{ range $i, $kind := .SortedKinds }}{{ if $i }}, {{ end }}{{ $.TypeForKind $kind | markdownRenderTypeLink }}{{ end }}.
{{ range .SortedKinds }}
{{ template "type" $.TypeForKind . }}
{{- end }}
{{- range .SortedTypes }}
{{- if not .GVK }}
{{ template "type" . }}
{{- end }}
{{- end }}
{{- end -}}
