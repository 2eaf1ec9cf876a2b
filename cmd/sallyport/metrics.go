package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// metrics serves the gateway's counters in Prometheus' text format.
func metrics(g *gate.Gateway) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), gatewayCollector{g})
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// gatewayCollector reads the counters when they are asked for.
type gatewayCollector struct{ g *gate.Gateway }

// Describe implements prometheus.Collector: it is unchecked, its metrics are
// the constant ones of Collect.
func (gatewayCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c gatewayCollector) Collect(out chan<- prometheus.Metric) {
	send := func(kind prometheus.ValueType, name, help string, value uint64, labels ...string) {
		var names, values []string
		for i := 0; i+1 < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("sallyport_"+name, help, names, nil), kind, float64(value), values...)
	}
	n := c.g.Counters()
	total := prometheus.CounterValue
	send(prometheus.GaugeValue, "sessions", "Sessions that live now.", uint64(len(c.g.Sessions())))
	send(total, "connections_total", "Connections accepted.", n.Connections.Load())
	send(total, "connections_refused_total", "Connections closed at once because there were too many.", n.Refused.Load())
	send(total, "connections_failed_total", "Connections that ended with an error, failed log-ins and broken messages included.", n.Failed.Load())
	send(total, "panics_total", "Connections ended by a panic.", n.Panics.Load())
	send(total, "sessions_opened_total", "Sessions opened.", n.Opened.Load())
	send(total, "sessions_refused_total", "Sessions not opened.", n.Unopened.Load())
	for i, reason := range gate.EndReasons() {
		send(total, "sessions_ended_total", "Sessions ended, by reason.", n.Ended[i].Load(), "reason", string(reason))
	}
	for d := gate.Block; d <= gate.Hold; d++ {
		send(total, "commands_total", "Commands decided, by decision.", n.Decided[d].Load(), "decision", d.String())
	}
	send(total, "commands_waited_total", "Held commands whose client waited.", n.Held.Load())
	send(total, "commands_granted_total", "Held commands that ran after an approval.", n.Granted.Load())
}
