package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/config"
)

func newServeCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long:  "Run the gateway until it is interrupted. On the first start it makes its folder, its key and a self-signed certificate.",
		Args:  exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.LoadProcess(file, protocolNames()...)
			if err != nil {
				return err
			}
			return serve(c.Context(), cfg, c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&file, "config", "sallyport.yaml", "configuration file of the process")
	return c
}

// serve runs one gateway process until ctx ends.
func serve(ctx context.Context, cfg *config.Process, stderr io.Writer) error {
	log := newLog(cfg, stderr)
	if cfg.Limits.Memory > 0 {
		debug.SetMemoryLimit(int64(cfg.Limits.Memory))
	}
	p, err := newProcess(ctx, cfg, log)
	if err != nil {
		return err
	}
	return p.serve(ctx, func() {
		attributes := []any{"version", readVersion().Version, "console", p.url(), "certificate", p.certificate.certificateFile}
		for _, s := range p.protocols {
			attributes = append(attributes, s.protocol.Name(), s.listener.Addr().String())
		}
		log.Info("ready", attributes...)
	})
}

func newLog(cfg *config.Process, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(or(cfg.Log.Level, "info"))); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(newBounded(slog.NewJSONHandler(w, options)))
	}
	return slog.New(newBounded(slog.NewTextHandler(w, options)))
}

func newCheckCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and every document without starting",
		Args:  exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.LoadProcess(file, protocolNames()...)
			if err != nil {
				return err
			}
			p, err := checkDocuments(c.Context(), cfg)
			if err != nil {
				return err
			}
			n := 0
			for _, k := range kinds() {
				n += len(p.documents.Set().All(k.Name))
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s and %d documents are valid\n", file, n)
			return err
		},
	}
	c.Flags().StringVar(&file, "config", "sallyport.yaml", "configuration file of the process")
	return c
}
