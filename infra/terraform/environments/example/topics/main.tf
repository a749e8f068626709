# Topics and grants of the example. Applied from inside the network, with the role that may make them.

terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    kafka = {
      source  = "Mongey/kafka"
      version = "0.13.1"
    }
  }

  backend "s3" {}
}

variable "bootstrap" {
  description = "Addresses of the brokers for a role: output bootstrap_iam of the folder above."
  type        = string

  validation {
    condition     = alltrue([for server in split(",", var.bootstrap) : endswith(server, ":9098")])
    error_message = "host:9098,...: the listeners that take a role."
  }
}

variable "region" {
  description = "AWS region of the brokers."
  type        = string
  default     = "eu-central-1"
}

variable "role_arn" {
  description = "Output topics_role_arn of the folder above."
  type        = string
}

provider "kafka" {
  bootstrap_servers = split(",", var.bootstrap)
  tls_enabled       = true
  sasl_mechanism    = "aws-iam"
  sasl_aws_region   = var.region
  sasl_aws_role_arn = var.role_arn
}

module "topic_list" {
  source = "../../../modules/topic_list"
}

module "topics" {
  source = "../../../modules/topics"
  topics = module.topic_list.topics
  access = module.topic_list.access
  groups = module.topic_list.groups

  groups_with_members = module.topic_list.groups_with_members
}

output "names" {
  description = "The topics that were made."
  value       = module.topics.names
}
