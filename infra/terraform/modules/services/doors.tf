# Who may talk to tasks, and to whom they may talk.

resource "aws_security_group" "tasks" {
  name        = "${var.name}-tasks"
  description = "Everything that runs"
  vpc_id      = var.vpc_id
}

resource "aws_security_group" "dicom" {
  name        = "${var.name}-dicom"
  description = "Scanners"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "scanners" {
  for_each = toset(var.hospital_cidrs)

  security_group_id = aws_security_group.dicom.id
  description       = "DICOM over TLS from a hospital"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 2762
  to_port           = 2762
}

resource "aws_vpc_security_group_egress_rule" "to_router" {
  for_each = toset([tostring(var.dicom_tls_port), tostring(var.router_http_port)])

  security_group_id            = aws_security_group.dicom.id
  description                  = "To the router"
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = tonumber(each.key)
  to_port                      = tonumber(each.key)
}

resource "aws_vpc_security_group_ingress_rule" "from_balancer" {
  for_each = toset([tostring(var.dicom_tls_port), tostring(var.router_http_port)])

  security_group_id            = aws_security_group.tasks.id
  description                  = "From the balancer of the router"
  referenced_security_group_id = aws_security_group.dicom.id
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

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.tasks.id
  description       = "The buckets, through the network's own door"
  prefix_list_id    = var.s3_prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
