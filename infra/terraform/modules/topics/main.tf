# Topics, and who may read and write them. Nobody has what is not granted here.

locals {
  grants = merge(
    { for one in local.topic_grants : "${one.account} ${one.operation} topic ${one.topic}" => {
      account = one.account, operation = one.operation, type = "Topic", name = one.topic, pattern = "Literal"
    } },
    # A member of a group needs the group; the group has the service's name. Who watches lag looks at all of them.
    { for account in keys(var.access) : "${account} Read group ${account}" => {
      account = account, operation = "Read", type = "Group", name = account, pattern = "Literal"
    } },
    # Groups of a redrive and of a replay, which begin so.
    { for one in local.joined : "${one.account} Read groups ${one.prefix}" => {
      account = one.account, operation = "Read", type = "Group", name = one.prefix, pattern = "Prefixed"
    } },
    { for one in setproduct(var.watchers, var.groups) : "${one[0]} Describe group ${one[1]}" => {
      account = one[0], operation = "Describe", type = "Group", name = one[1], pattern = "Literal"
    } },
    # Groups that a site's rules name: one for each destination (docs/decisions/0030).
    { for group in var.groups_with_members : "${group} Read groups ${group}." => {
      account = group, operation = "Read", type = "Group", name = "${group}.", pattern = "Prefixed"
    } },
    { for one in setproduct(var.watchers, var.groups_with_members) : "${one[0]} Describe groups ${one[1]}." => {
      account = one[0], operation = "Describe", type = "Group", name = "${one[1]}.", pattern = "Prefixed"
    } },
  )
  joined = flatten([
    for account, access in var.access : [for prefix in access.groups : { account = account, prefix = prefix }]
  ])
  topic_grants = distinct(flatten([
    for account, topics in var.access : concat(
      [for topic in topics.read : { account = account, operation = "Read", topic = topic }],
      [for topic in topics.write : { account = account, operation = "Write", topic = topic }],
      # Every service looks for the log by this topic when it starts, and those that write it read it.
      [{ account = account, topic = var.known_topic, operation = contains(topics.write, var.known_topic) ? "Read" : "Describe" }],
    )
  ]))
}

resource "kafka_topic" "this" {
  for_each = var.topics

  name               = each.key
  partitions         = each.value.partitions
  replication_factor = each.value.replication_factor
  config             = each.value.config

  lifecycle {
    # Partitions are fixed for life and topics of truth are kept for ever.
    prevent_destroy = true
  }
}

resource "kafka_acl" "this" {
  for_each = local.grants

  resource_type                = each.value.type
  resource_name                = each.value.name
  resource_pattern_type_filter = each.value.pattern
  acl_principal                = "User:${each.value.account}"
  acl_host                     = "*"
  acl_operation                = each.value.operation
  acl_permission_type          = "Allow"
}
