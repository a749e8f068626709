# As many tasks as there is work: waiting records for each task, measured by the service `lag`, decide.

resource "aws_appautoscaling_target" "this" {
  for_each = local.scaling

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.this[each.key].name}"
  min_capacity       = each.value.count.min
  max_capacity       = each.value.count.max
}

resource "aws_appautoscaling_policy" "lag" {
  for_each = local.scaling

  name               = "${var.name}-${each.key}-lag"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[each.key].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[each.key].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[each.key].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = each.value.lag
    scale_out_cooldown = 60
    # Every change of members moves partitions: fewer, later.
    scale_in_cooldown = 900

    customized_metric_specification {
      dynamic "metrics" {
        for_each = var.lanes

        content {
          id          = "lane${metrics.key}"
          return_data = false

          metric_stat {
            stat = "Maximum"

            metric {
              namespace   = var.metric_namespace
              metric_name = var.lag_metric

              dimensions {
                name  = "group"
                value = each.key
              }

              dimensions {
                name  = "lane"
                value = metrics.value
              }
            }
          }
        }
      }

      metrics {
        id          = "tasks"
        return_data = false

        metric_stat {
          stat = "Average"

          metric {
            namespace   = "ECS/ContainerInsights"
            metric_name = "RunningTaskCount"

            dimensions {
              name  = "ClusterName"
              value = aws_ecs_cluster.this.name
            }

            dimensions {
              name  = "ServiceName"
              value = aws_ecs_service.this[each.key].name
            }
          }
        }
      }

      metrics {
        id          = "waiting"
        label       = "Records that wait for each task"
        expression  = "(${join(" + ", [for index, lane in var.lanes : "FILL(lane${index}, 0)"])}) / tasks"
        return_data = true
      }
    }
  }
}
