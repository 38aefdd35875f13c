{{- define "type" -}}
{{- if markdownShouldRenderType . }}
### {{ .Name }}
{{ if .IsAlias }}
A {{ markdownRenderTypeLink .UnderlyingType }}{{ range .Validation }}, {{ template "rule" . }}{{ end }}.
{{ end }}
{{ .Doc }}
{{- if .References }}

Used by {{ range $i, $type := .SortedReferences }}{{ if $i }}, {{ end }}{{ markdownRenderTypeLink $type }}{{ end }}.
{{- end }}
{{ if .Members }}
| field | meaning | default | bounds |
|---|---|---|---|
{{ range .Members -}}
| `{{ .Name }}` {{ markdownRenderType .Type }} | {{ template "type_members" . }} | {{ markdownRenderDefault .Default }} | {{ range $i, $rule := .Validation }}{{ if $i }}, {{ end }}{{ template "rule" $rule }}{{ end }} |
{{ end -}}
{{ end -}}
{{ if .EnumValues }}
| value | meaning |
|---|---|
{{ range .EnumValues -}}
| `{{ .Name }}` | {{ .Doc | replace "\n" " " | markdownRenderFieldDoc }} |
{{ end -}}
{{ end -}}
{{ end -}}
{{- end -}}

{{- define "type_members" -}}
{{- if eq .Name "metadata" -}}
As in every Kubernetes object.
{{- else -}}
{{ .Doc | replace "\n" " " | markdownRenderFieldDoc }}
{{- end -}}
{{- end -}}

{{- define "rule" -}}
{{- if hasPrefix "Required" . }}required{{ else if hasPrefix "Optional" . }}optional{{ else }}{{ markdownRenderFieldDoc . }}{{ end -}}
{{- end -}}
