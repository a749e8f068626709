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

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "The database stands by in a second zone, so it needs two subnets."
  }
}

variable "client_cidr" {
  description = "Where clients come from."
  type        = string
}

variable "instance_class" {
  description = "Size of the database."
  type        = string
  default     = "db.m7g.large"

  validation {
    condition     = startswith(var.instance_class, "db.")
    error_message = "A class of RDS, for example db.m7g.large."
  }
}

variable "disk_gib" {
  description = "Disk at the start, in GiB."
  type        = number
  default     = 200
}

variable "disk_gib_max" {
  description = "Disk at the most, in GiB: it grows by itself."
  type        = number
  default     = 4096
}

variable "password" {
  description = "The owner's password. Written where `password_version` is new, and otherwise not looked at."
  type        = string
  ephemeral   = true

  validation {
    condition     = can(regex("^[A-Za-z0-9]{32,64}$", var.password))
    error_message = "32 to 64 letters and digits: python infra/terraform/passwords.py draws it."
  }
}

variable "password_version" {
  description = "Raise it for a new password; restart the catalog's service afterwards."
  type        = number
  default     = 1
}

variable "catalog_key_arn" {
  description = "KMS key of the database."
  type        = string
}

variable "secrets_key_arn" {
  description = "KMS key of the account."
  type        = string
}
