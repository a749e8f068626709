# Logs by service, metrics in a Prometheus of AWS with our own rules, alerts by a topic that people subscribe to.

resource "aws_cloudwatch_log_group" "service" {
  for_each = toset(var.services)

  name              = "/${var.name}/${each.key}"
  retention_in_days = var.log_days
  kms_key_id        = var.logs_key_arn
}

resource "aws_prometheus_workspace" "this" {
  alias       = var.name
  kms_key_arn = var.logs_key_arn
}

# The rules that promtool checks and that the local stack has: one file for one subject.
resource "aws_prometheus_rule_group_namespace" "this" {
  for_each = fileset(local.rules, "*.yml")

  name         = trimsuffix(each.key, ".yml")
  workspace_id = aws_prometheus_workspace.this.id
  data         = file("${local.rules}/${each.key}")
}

locals {
  rules = "${path.module}/../../../prometheus/rules"
}

resource "aws_prometheus_alert_manager_definition" "this" {
  workspace_id = aws_prometheus_workspace.this.id
  definition = yamlencode({
    alertmanager_config = yamlencode({
      route = {
        receiver        = "people"
        group_by        = ["alertname", "group"]
        group_wait      = "30s"
        repeat_interval = "4h"
      }
      receivers = [{
        name        = "people"
        sns_configs = [{ topic_arn = aws_sns_topic.alerts.arn, sigv4 = { region = var.region } }]
      }]
    })
  })
}

resource "aws_sns_topic" "alerts" {
  name              = "${var.name}-alerts"
  kms_master_key_id = var.logs_key_arn
}

resource "aws_sns_topic_policy" "alerts" {
  arn = aws_sns_topic.alerts.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlertsOfThisWorkspace"
      Effect    = "Allow"
      Action    = ["sns:GetTopicAttributes", "sns:Publish"]
      Resource  = [aws_sns_topic.alerts.arn]
      Principal = { Service = "aps.amazonaws.com" }
      Condition = {
        StringEquals = { "AWS:SourceAccount" = var.account_id }
        ArnEquals    = { "aws:SourceArn" = aws_prometheus_workspace.this.arn }
      }
    }]
  })
}

resource "aws_sns_topic_subscription" "people" {
  for_each = toset(var.alert_emails)

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.key
}

resource "aws_iam_role_policy" "collector" {
  name = "write"
  role = var.collector_role
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Metrics"
        Effect   = "Allow"
        Action   = ["aps:RemoteWrite"]
        Resource = [aws_prometheus_workspace.this.arn]
      },
      {
        Sid      = "LagForAutoscaling"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.service["collector"].arn}:*"]
      },
    ]
  })
}

# What the collector reads and where it writes: metrics of every task, found by name, into the workspace; and lag into
# CloudWatch, where autoscaling looks.
locals {
  collector = {
    extensions = { sigv4auth = { region = var.region, service = "aps" }, health_check = {} }
    receivers = {
      prometheus = {
        config = {
          global = { scrape_interval = "15s" }
          scrape_configs = concat([
            for service, port in var.metrics_ports : {
              job_name       = service
              dns_sd_configs = [{ names = ["${service}.${var.domain}"], type = "A", port = port, refresh_interval = "15s" }]
            }
          ])
        }
      }
    }
    processors = {
      "filter/lag" = { metrics = { include = { match_type = "strict", metric_names = [var.lag_metric] } } }
    }
    exporters = {
      prometheusremotewrite = {
        endpoint = "${aws_prometheus_workspace.this.prometheus_endpoint}api/v1/remote_write"
        auth     = { authenticator = "sigv4auth" }
      }
      awsemf = {
        namespace               = var.metric_namespace
        region                  = var.region
        log_group_name          = aws_cloudwatch_log_group.service["collector"].name
        dimension_rollup_option = "NoDimensionRollup"
        metric_declarations = [{
          dimensions            = [["group", "lane"]]
          metric_name_selectors = ["^${var.lag_metric}$"]
        }]
      }
    }
    service = {
      extensions = ["sigv4auth", "health_check"]
      pipelines = {
        "metrics/all" = { receivers = ["prometheus"], exporters = ["prometheusremotewrite"] }
        "metrics/lag" = { receivers = ["prometheus"], processors = ["filter/lag"], exporters = ["awsemf"] }
      }
    }
  }
}
