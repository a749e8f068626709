variable "name" {
  description = "First part of every name."
  type        = string
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, in at least two zones."
  type        = list(string)
}

variable "client_cidr" {
  description = "Where clients come from."
  type        = string
}

variable "node_type" {
  description = "Size of each of the two nodes."
  type        = string
  default     = "cache.t4g.small"

  validation {
    condition     = startswith(var.node_type, "cache.")
    error_message = "A type of ElastiCache, for example cache.t4g.small."
  }
}

variable "catalog_key_arn" {
  description = "KMS key of what is on the nodes' disks."
  type        = string
}
