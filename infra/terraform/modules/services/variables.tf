variable "name" {
  description = "First part of every name."
  type        = string

  validation {
    condition     = length(var.name) <= 23
    error_message = "At most 23 characters: the name of a balancer's target may have 32."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_ids" {
  description = "The private subnets."
  type        = list(string)
}

variable "cidr" {
  description = "Addresses of the network."
  type        = string
}

variable "s3_prefix_list_id" {
  description = "Addresses of S3, as the network's door to it names them."
  type        = string
}

variable "domain" {
  description = "Domain by which tasks find each other, inside the network only."
  type        = string
  default     = "radstream.internal"
}

variable "hospital_cidrs" {
  description = "Where scanners, RIS and PACS are."
  type        = list(string)

  validation {
    condition     = alltrue([for cidr in var.hospital_cidrs : can(cidrnetmask(cidr)) && !endswith(cidr, "/0")])
    error_message = "IPv4 blocks of hospitals; never everybody (/0)."
  }
}

variable "doors" {
  description = "By service that a hospital's systems reach, its port for them, and the one for /readyz, as in services.yaml."
  type        = map(object({ port = number, http_port = number }))
}

variable "gpu_instance_type" {
  description = "Machine for tasks that want a GPU."
  type        = string
  default     = "g6.xlarge"

  validation {
    condition     = can(regex("^(g[4-9]|p[3-9])", var.gpu_instance_type))
    error_message = "A type with a GPU, for example g6.xlarge."
  }
}

variable "lanes" {
  description = "Lanes, as the lag's metric names them: those of topics.yaml, and '-' for topics without."
  type        = list(string)
}

variable "metric_namespace" {
  description = "Where the collector puts the lag in CloudWatch."
  type        = string
}

variable "lag_metric" {
  description = "The metric of waiting records by group and lane (streams/metrics.py)."
  type        = string
}

variable "services" {
  description = "By name, what runs. `lag` is waiting records for each task, 0 where the number of tasks stays."
  type = map(object({
    image          = string
    cpu            = number
    memory         = number
    gpu            = number
    ports          = list(number)
    count          = object({ min = number, max = number })
    lag            = number
    command        = list(string)
    health         = list(string)
    environment    = map(string)
    secrets        = map(string)
    task_role_arn  = string
    start_role_arn = string
    log_group      = string
  }))

  validation {
    condition     = alltrue([for entry in values(var.services) : entry.count.min <= entry.count.max])
    error_message = "A service's least number of tasks is at most its greatest."
  }
}
