variable "replication_factor" {
  description = "Copies of each partition. Three, one for each availability zone."
  type        = number
  default     = 3

  validation {
    condition     = var.replication_factor >= 3
    error_message = "Topics of truth need three copies: with fewer, an acknowledgement can be lost with one broker."
  }
}

variable "min_insync_replicas" {
  description = "Copies that must have a record before it is acknowledged."
  type        = number
  default     = 2

  validation {
    condition     = var.min_insync_replicas == 2
    error_message = "Two: with one, an acknowledged record can be lost; with three, one broker away stops everything."
  }
}
