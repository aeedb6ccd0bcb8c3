"""OpenTelemetry: calls as spans, metrics and events, with the names of the GenAI conventions; needs the extra `otel`."""
