variable "name" {
  description = "First part of every name."
  type        = string
}

variable "region" {
  description = "AWS region, for example eu-central-1."
  type        = string
}

variable "zones" {
  description = "Three availability zones: one for each broker and each copy."
  type        = list(string)

  validation {
    condition     = length(distinct(var.zones)) == 3
    error_message = "Three different zones: two copies out of three survive the loss of one."
  }
}

variable "cidr" {
  description = "Addresses of the network; it must not overlap the hospital's own."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.cidr)) && tonumber(split("/", var.cidr)[1]) <= 20
    error_message = "An IPv4 block of at least /20, so that each of the subnets has room for tasks."
  }
}

variable "endpoints" {
  description = "Services of AWS that are reached from inside, beside S3."
  type        = list(string)
  default = [
    "aps-workspaces", "ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "kms", "logs", "monitoring",
    "secretsmanager", "ssm", "sts",
  ]
}

variable "log_days" {
  description = "Days that records of connections are kept."
  type        = number
  default     = 365
}

variable "logs_key_arn" {
  description = "KMS key of the logs."
  type        = string
}
