variable "topics" {
  description = "By physical topic, as module topic_list gives them."
  type = map(object({
    partitions         = number
    replication_factor = number
    config             = map(string)
  }))
}

variable "access" {
  description = "By account, the physical topics that it reads and writes, and prefixes of groups beside its own."
  type = map(object({
    read   = list(string)
    write  = list(string)
    groups = list(string)
  }))
}

variable "groups" {
  description = "The consumer groups."
  type        = list(string)
}

variable "groups_with_members" {
  description = "Those of them that have members named <group>.<name>, which no list knows."
  type        = list(string)
  default     = []
}

variable "watchers" {
  description = "Accounts that may look at every group: how far it is, and what it has committed."
  type        = list(string)
  default     = ["lag", "operator", "repair"]
}

variable "known_topic" {
  description = "The topic by which services find the log when they start."
  type        = string
  default     = "imaging.step.generation"
}
