output "log_groups" {
  description = "By service, name and ARN of its log."
  value       = { for service, log in aws_cloudwatch_log_group.service : service => { name = log.name, arn = log.arn } }
}

output "workspace_arn" {
  description = "The workspace of metrics."
  value       = aws_prometheus_workspace.this.arn
}

output "query_endpoint" {
  description = "Where Grafana asks for metrics."
  value       = aws_prometheus_workspace.this.prometheus_endpoint
}

output "alert_topic_arn" {
  description = "Where alerts go."
  value       = aws_sns_topic.alerts.arn
}

output "collector_config" {
  description = "What the collector is started with (AOT_CONFIG_CONTENT)."
  value       = yamlencode(local.collector)
}
