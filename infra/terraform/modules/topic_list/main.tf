# Topics and who may use them, out of the one list and services.yaml. Expressions only: no provider, so it can be
# evaluated anywhere, and a test compares it with what the services themselves read.

locals {
  folder = "${path.module}/../../../.."
  listed = yamldecode(file("${local.folder}/schemas/avro/topics.yaml"))
  house  = yamldecode(file("${path.module}/../../services.yaml"))
  users = {
    for name, entry in merge(local.house.services, local.house.accounts) :
    name => { module = entry.module, reads = entry.reads, writes = entry.writes, groups = try(entry.groups, []) }
  }

  # By name in topics.yaml, the names on the brokers.
  physical = {
    for name, topic in local.listed.topics : name => (
      topic.kind == "instance" ? [for lane in local.listed.lanes : lane == "routine" ? name : "${name}.${lane}"] :
      topic.kind == "group" ? [
        for group, entry in local.listed.groups : "${name}.${group}" if entry.retry || name != "imaging.retry"
      ] : [name]
    )
  }

  topics = merge([
    for name, topic in local.listed.topics : {
      for physical in local.physical[name] : physical => {
        partitions         = topic.kind == "single" ? 1 : local.listed.partitions.production
        replication_factor = var.replication_factor
        config = merge(topic.config, {
          "min.insync.replicas"            = tostring(var.min_insync_replicas)
          "unclean.leader.election.enable" = "false"
        })
      }
    }
  ]...)

  # What a service's consumer group reads; nothing for a service that is no group of topics.yaml.
  group_reads = {
    for service, entry in local.users : service => flatten([
      for name in try(local.listed.groups[service].reads, []) : local.physical[name]
    ])
  }
  owned = {
    for service, entry in local.users : service => flatten([
      for name, topic in local.listed.topics : local.physical[name] if topic.owner == replace(entry.module, ".", "/")
    ])
  }
  # The group's own: what waits, and what could not be understood.
  aside = {
    for service, entry in local.users : service => [
      for physical in concat(local.physical["imaging.retry"], local.physical["imaging.deadletter"]) :
      physical if endswith(physical, ".${service}")
    ]
  }

  access = {
    for service, entry in local.users : service => {
      read = sort(distinct(concat(
        local.group_reads[service], local.aside[service],
        flatten([for name in entry.reads : name == "all" ? flatten(values(local.physical)) : local.physical[name]]),
      )))
      write = sort(distinct(concat(
        local.owned[service], local.aside[service], flatten([for name in entry.writes : name == "all" ? flatten(values(local.physical)) : local.physical[name]]),
      )))
      groups = entry.groups
    }
  }
}
