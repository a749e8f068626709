# Machines with a GPU, as many as the tasks that want one need.

data "aws_ssm_parameter" "gpu_machine" {
  name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
}

resource "aws_launch_template" "gpu" {
  for_each = local.gpu

  name                   = "${var.name}-${each.key}"
  image_id               = data.aws_ssm_parameter.gpu_machine.insecure_value
  instance_type          = var.gpu_instance_type
  vpc_security_group_ids = [aws_security_group.tasks.id]
  user_data = base64encode(join("\n", [
    "#!/bin/bash",
    "echo ECS_CLUSTER=${aws_ecs_cluster.this.name} >> /etc/ecs/ecs.config",
    "echo ECS_ENABLE_GPU_SUPPORT=true >> /etc/ecs/ecs.config",
  ]))

  iam_instance_profile {
    arn = aws_iam_instance_profile.gpu.arn
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_size = 100
      volume_type = "gp3"
      encrypted   = true
    }
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
}

resource "aws_autoscaling_group" "gpu" {
  for_each = local.gpu

  name                  = "${var.name}-${each.key}"
  min_size              = 0
  max_size              = each.value.count.max
  vpc_zone_identifier   = var.subnet_ids
  protect_from_scale_in = true

  launch_template {
    id      = aws_launch_template.gpu[each.key].id
    version = aws_launch_template.gpu[each.key].latest_version
  }

  tag {
    key                 = "AmazonECSManaged"
    value               = "true"
    propagate_at_launch = true
  }

  lifecycle {
    # The capacity provider's.
    ignore_changes = [desired_capacity]
  }
}

resource "aws_ecs_capacity_provider" "gpu" {
  for_each = local.gpu

  name = "${var.name}-${each.key}"

  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.gpu[each.key].arn
    managed_termination_protection = "ENABLED"

    managed_scaling {
      status          = "ENABLED"
      target_capacity = 100
    }
  }
}

resource "aws_iam_role" "gpu" {
  name = "${var.name}-gpu-machine"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

# AWS's own policy for machines of ECS.
resource "aws_iam_role_policy_attachment" "gpu" {
  role       = aws_iam_role.gpu.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_instance_profile" "gpu" {
  name = "${var.name}-gpu-machine"
  role = aws_iam_role.gpu.name
}
