variable "name" {
  description = "First part of every name."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "account_id" {
  description = "The only account whose tasks may take the roles."
  type        = string
}

variable "tenant" {
  description = "The tenant, first part of every object's key."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+$", var.tenant))
    error_message = "Lower-case letters, digits and dashes: it is part of names."
  }
}

variable "services" {
  description = "By service, what it may do in the store, as in services.yaml. `looks`: it looks for the store at start."
  type = map(object({
    looks = bool
    store = list(object({
      bucket  = string
      folders = list(string)
      may     = list(string)
    }))
  }))

  validation {
    condition = alltrue(flatten([
      for entry in values(var.services) : [
        for one in entry.store : [for verb in one.may : contains(["read", "create", "delete", "hold", "restore", "probe"], verb)]
      ]
    ]))
    error_message = "A service may read, create, delete, hold, restore or probe."
  }
}

variable "buckets" {
  description = "By tier, name and ARN of its bucket."
  type        = map(object({ name = string, arn = string }))
}

variable "repositories" {
  description = "By image, address and ARN of its repository."
  type        = map(object({ url = string, arn = string }))
}

variable "secret_arns" {
  description = "By service, the secrets that it is started with."
  type        = map(list(string))
}

variable "schema_ids_arn" {
  description = "The parameter with the registry's schema ids."
  type        = string
}

variable "log_group_arns" {
  description = "By service, its log."
  type        = map(string)
}

variable "cluster_arn" {
  description = "The brokers."
  type        = string
}

variable "administrator_arns" {
  description = "People who may make topics and grants, with a second factor."
  type        = list(string)

  validation {
    condition     = length(var.administrator_arns) > 0
    error_message = "Name at least one person: nobody else can make the topics."
  }
}

variable "storage_key_arn" {
  description = "KMS key of the images."
  type        = string
}

variable "secrets_key_arn" {
  description = "KMS key of the secrets."
  type        = string
}
