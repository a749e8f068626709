variable "name" {
  description = "First part of every name."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "account_id" {
  description = "The account whose workspace may send alerts."
  type        = string
}

variable "domain" {
  description = "Domain by which tasks are found."
  type        = string
  default     = "radstream.internal"
}

variable "services" {
  description = "Everything that runs and so has a log."
  type        = list(string)
}

variable "metrics_ports" {
  description = "By service, the port of its /metrics."
  type        = map(number)
}

variable "metric_namespace" {
  description = "Where lag lies in CloudWatch."
  type        = string
}

variable "lag_metric" {
  description = "The metric that autoscaling follows (streams/metrics.py)."
  type        = string
}

variable "collector_role" {
  description = "Name of the role of the collector's code."
  type        = string
}

variable "alert_emails" {
  description = "Who is told. Each confirms by a mail of AWS."
  type        = list(string)

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "Addresses of mail."
  }
}

variable "log_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 365
}

variable "logs_key_arn" {
  description = "KMS key of logs and metrics."
  type        = string
}
