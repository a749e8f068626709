variable "name" {
  description = "Name of the cluster and first part of the other names."
  type        = string
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_ids" {
  description = "Three private subnets, one for each zone and broker."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) == 3
    error_message = "Three brokers in three zones need three subnets."
  }
}

variable "client_cidr" {
  description = "Where clients come from."
  type        = string
}

variable "kafka_version" {
  description = "Version of MSK with KRaft. The consumers speak the group protocol of Kafka 4 (KIP-848)."
  type        = string
  default     = "4.0.x.kraft"

  validation {
    condition     = can(regex("^([4-9])\\.[0-9]+\\.x\\.kraft$", var.kafka_version))
    error_message = "Kafka 4 or newer, for example 4.0.x.kraft: older brokers do not know the group protocol of KIP-848."
  }
}

variable "instance_type" {
  description = "Size of a broker. The number of partitions decides it before the load does."
  type        = string
  default     = "kafka.m7g.2xlarge"

  validation {
    condition     = can(regex("^kafka\\.m7g\\.([248]?x)?large$", var.instance_type))
    error_message = "One of kafka.m7g.large, xlarge, 2xlarge, 4xlarge or 8xlarge."
  }
}

variable "replicas" {
  description = "Copies of partitions in all, as module topic_list counts them."
  type        = number
}

variable "disk_gib" {
  description = "Disk of each broker at the start, in GiB."
  type        = number
  default     = 1000

  validation {
    condition     = var.disk_gib >= 100 && var.disk_gib <= 16384
    error_message = "Between 100 and 16384 GiB."
  }
}

variable "disk_gib_max" {
  description = "Disk of each broker at the most, in GiB."
  type        = number
  default     = 16384

  validation {
    condition     = var.disk_gib_max >= 100 && var.disk_gib_max <= 16384
    error_message = "Between 100 and 16384 GiB."
  }
}

variable "accounts" {
  description = "Services that get an account."
  type        = list(string)
}

variable "passwords" {
  description = "By account, a password. Written where `password_version` is new, and otherwise not looked at."
  type        = map(string)
  ephemeral   = true

  validation {
    condition     = alltrue([for password in values(var.passwords) : can(regex("^[A-Za-z0-9]{32,64}$", password))])
    error_message = "32 to 64 letters and digits: python infra/terraform/passwords.py draws them."
  }
}

variable "password_version" {
  description = "Raise it to give every account a new password; restart the services afterwards."
  type        = number
  default     = 1
}

variable "log_days" {
  description = "Days that the brokers' logs are kept."
  type        = number
  default     = 90
}

variable "kafka_key_arn" {
  description = "KMS key of the brokers' disks."
  type        = string
}

variable "secrets_key_arn" {
  description = "KMS key of the accounts."
  type        = string
}

variable "logs_key_arn" {
  description = "KMS key of the logs."
  type        = string
}
