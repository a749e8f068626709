# Who may talk to tasks, and to whom they may talk.

resource "aws_security_group" "tasks" {
  name        = "${var.name}-tasks"
  description = "Everything that runs"
  vpc_id      = var.vpc_id
}

resource "aws_security_group" "hospital" {
  name        = "${var.name}-hospital"
  description = "Scanners and the RIS"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "hospital" {
  for_each = { for one in setproduct(keys(var.doors), var.hospital_cidrs) : "${one[0]} ${one[1]}" => one }

  security_group_id = aws_security_group.hospital.id
  description       = "To ${each.value[0]} from a hospital"
  cidr_ipv4         = each.value[1]
  ip_protocol       = "tcp"
  from_port         = var.doors[each.value[0]].port
  to_port           = var.doors[each.value[0]].port
}

locals {
  # Of each door, the port behind it and the one that says whether anybody is there.
  behind = toset(flatten([for door in values(var.doors) : [tostring(door.port), tostring(door.http_port)]]))
}

resource "aws_vpc_security_group_egress_rule" "to_doors" {
  for_each = local.behind

  security_group_id            = aws_security_group.hospital.id
  description                  = "To what is behind a door"
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = tonumber(each.key)
  to_port                      = tonumber(each.key)
}

resource "aws_vpc_security_group_ingress_rule" "from_balancer" {
  for_each = local.behind

  security_group_id            = aws_security_group.tasks.id
  description                  = "From the balancer"
  referenced_security_group_id = aws_security_group.hospital.id
  ip_protocol                  = "tcp"
  from_port                    = tonumber(each.key)
  to_port                      = tonumber(each.key)
}

resource "aws_vpc_security_group_ingress_rule" "tasks" {
  security_group_id            = aws_security_group.tasks.id
  description                  = "Tasks among themselves: metrics, models, schemas"
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = 8001
  to_port                      = 9199
}

resource "aws_vpc_security_group_egress_rule" "inside" {
  security_group_id = aws_security_group.tasks.id
  description       = "Brokers, database, cache, endpoints, each other"
  cidr_ipv4         = var.cidr
  ip_protocol       = "tcp"
  from_port         = 0
  to_port           = 65535
}

resource "aws_vpc_security_group_egress_rule" "hospital" {
  for_each = toset(var.hospital_cidrs)

  security_group_id = aws_security_group.tasks.id
  description       = "To nodes of a hospital: destinations, RIS, reports of storage commitment"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 1
  to_port           = 65535
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.tasks.id
  description       = "The buckets, through the network's own door"
  prefix_list_id    = var.s3_prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
