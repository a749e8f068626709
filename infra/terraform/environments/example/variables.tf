variable "name" {
  description = "First part of every name, for example radstream-test."
  type        = string
  default     = "radstream-example"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}$", var.name))
    error_message = "2 to 23 lower-case letters, digits and dashes, the first a letter."
  }
}

variable "account_id" {
  description = "The only account in which this may be applied."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account's number has twelve digits."
  }
}

variable "region" {
  description = "AWS region. Images do not leave it."
  type        = string
  default     = "eu-central-1"
}

variable "zones" {
  description = "Three availability zones of the region."
  type        = list(string)
  default     = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
}

variable "cidr" {
  description = "Addresses of the network; they must not overlap the hospital's own."
  type        = string
  default     = "10.71.0.0/16"
}

variable "tenant" {
  description = "The tenant: first part of every key and id. Never changes."
  type        = string
  default     = "example"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*$", var.tenant))
    error_message = "Lower-case letters, digits and dashes, the first a letter."
  }
}

variable "site" {
  description = "The site whose scanners come here."
  type        = string
  default     = "main"
}

variable "site_folder" {
  description = "Folder of the site's routes.toml, nodes.toml, findings.toml and sections.toml, from this one."
  type        = string
  default     = "../../../site"
}

variable "hospital_cidrs" {
  description = "Where scanners, RIS and PACS are, over Direct Connect or a VPN."
  type        = list(string)
}

variable "order_senders" {
  description = "Common names of the certificates of those that send orders by HL7 (RIS, interface engine)."
  type        = list(string)

  validation {
    condition     = length(var.order_senders) > 0
    error_message = "Without TLS no order comes from another machine: name whose certificate may send them."
  }
}

variable "administrator_arns" {
  description = "People who may make topics and grants, with a second factor."
  type        = list(string)
}

variable "alert_emails" {
  description = "Who is told when something is wrong."
  type        = list(string)
  default     = []
}

variable "release" {
  description = "Version of the images."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+", var.release))
    error_message = "A version, for example 0.1.0; never 'latest', which is another image tomorrow."
  }
}

variable "broker_type" {
  description = "Size of a broker."
  type        = string
  default     = "kafka.m7g.2xlarge"
}

variable "passwords" {
  description = "By account of the brokers, and `database`: passwords drawn for this run (README.md). In no state."
  type        = map(string)
  ephemeral   = true
}
