variable "name" {
  description = "First part of the buckets' names."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,28}$", var.name))
    error_message = "2 to 29 lower-case letters, digits and dashes: buckets' names may have 63 with what is added."
  }
}

variable "account_id" {
  description = "Part of the buckets' names, which are unique in the whole world."
  type        = string
}

variable "partition" {
  description = "AWS partition: aws, aws-cn or aws-us-gov."
  type        = string
  default     = "aws"
}

variable "storage_key_arn" {
  description = "KMS key of the images."
  type        = string
}

variable "s3_endpoint_id" {
  description = "The network's door to S3: bytes are refused to everyone else."
  type        = string
}

variable "cold_retention_days" {
  description = "Days that nothing new in the cold bucket may be deleted."
  type        = number
  default     = 90

  validation {
    condition     = var.cold_retention_days >= 1
    error_message = "At least one day."
  }
}

variable "backup_retention_days" {
  description = "Days that nothing new in the backup bucket may be deleted."
  type        = number
  default     = 365

  validation {
    condition     = var.backup_retention_days >= 1
    error_message = "At least one day."
  }
}

variable "access_log_days" {
  description = "Days that the records of access to the buckets are kept."
  type        = number
  default     = 2557

  validation {
    condition     = var.access_log_days >= 365
    error_message = "At least a year."
  }
}
