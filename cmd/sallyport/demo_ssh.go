//go:build cgo && unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/api"
)

// refusedStatus is the exit status of a command that the gateway did not run.
const refusedStatus = 77

// playHost makes the host trust the gateway, as its administrator would, and logs the
// agent in.
func playHost(ctx context.Context, s *demoStory) error {
	config := s.w.configFile()
	s.p.command("", s.short("sallyport setup ssh web --config "+config+" > setup.sh"))
	var script strings.Builder
	if code := s.w.command(ctx, "", &script, "setup", "ssh", "web", "--config", config); code != exitOK {
		return &mismatch{"a script", script.String()}
	}
	if err := s.w.host.trust(script.String()); err != nil {
		return err
	}
	s.p.note(fmt.Sprintf("%d lines for root: the authority to trust, a restricted account, the part of sshd_config. "+
		"The demo's sshd has no root, so only the authority is put into its place.", strings.Count(script.String(), "\n")))
	out, code := s.administer(ctx, "", "inspect", "web", "--config", config)
	if err := expect(code == exitOK && strings.Contains(out, "which its document trusts"), "the pinned key", out); err != nil {
		return err
	}
	if out, code = s.as(ctx, "agent", "login", "--dir", s.w.file("ssh")); code != exitOK {
		return &mismatch{"a certificate", out}
	}
	text, err := s.quietly(ctx, "agent", "ssh-config", "--dir", s.w.file("ssh"), "--target", "web")
	if err != nil {
		return err
	}
	s.p.command("reporting-agent", "sallyport ssh-config --target web > ssh/config")
	if err := os.WriteFile(s.w.file("ssh/config"), []byte(text), 0o600); err != nil {
		return err
	}
	out, code, err = s.ssh(ctx, fmt.Sprintf("grep -c . %s; tail -n 3 %[1]s", s.w.host.place("log/app.log")))
	if err != nil {
		return err
	}
	return errors.Join(
		expect(code == 0, "exit status 0", fmt.Sprintf("exit status %d: %s", code, out)),
		expectIn(out, "payment ok order=4711", "1881", "[redacted"),
		expect(!strings.Contains(out, demoHostCard) && !strings.Contains(out, demoStripeKey), "neither the card number nor the key", out))
}

// ssh shows and runs a command line in a stock ssh.
func (s *demoStory) ssh(ctx context.Context, line string) (string, int, error) {
	s.p.command("reporting-agent", "ssh -F ssh/config web "+shellWords([]string{s.atHost(line)}))
	out := &demoLines{show: func(text string) { s.p.answer(s.atHost(text)) }}
	cmd := s.w.sshCommand(ctx, line)
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out.text.String(), exit.ExitCode(), nil
	}
	return out.text.String(), 0, err
}

// atHost shows the host's folder by the name that it would have.
func (s *demoStory) atHost(text string) string {
	return strings.ReplaceAll(text, s.w.host.work, "/srv")
}

func playHostBlocked(ctx context.Context, s *demoStory) error {
	h := &s.w.host
	for _, line := range []string{
		"cat " + h.place("log/latest"),
		"cat $(echo " + h.place("k*s") + ")/stripe | base64",
		"find " + h.place("log") + " -name '*.log' -exec cp {} /tmp \\;",
	} {
		out, code, err := s.ssh(ctx, line)
		if err != nil {
			return err
		}
		if err := errors.Join(
			expect(code == refusedStatus, fmt.Sprintf("exit status %d", refusedStatus), fmt.Sprintf("exit status %d: %s", code, out)),
			expectIn(out, "SALLYPORT blocked"), expect(!strings.Contains(out, demoStripeKey[:12]), "nothing of the key", out)); err != nil {
			return err
		}
	}
	return nil
}

func playHostHeld(ctx context.Context, s *demoStory) error {
	h := &s.w.host
	line := fmt.Sprintf("cp %s %s && cat %[2]s", h.place("conf/app.conf.new"), h.place("conf/app.conf"))
	type answer struct {
		out  string
		code int
		err  error
	}
	done := make(chan answer, 1)
	held := make(chan struct{})
	s.p.command("reporting-agent", "ssh -F ssh/config web "+shellWords([]string{s.atHost(line)}))
	out := &demoLines{}
	out.show = func(text string) {
		s.p.answer(s.atHost(text))
		if strings.Contains(text, "waits until") {
			close(held)
		}
	}
	cmd := s.w.sshCommand(ctx, line)
	cmd.Stdout, cmd.Stderr = out, out
	go func() { // ends with ssh, which ends with ctx
		err := cmd.Run()
		done <- answer{out.text.String(), cmd.ProcessState.ExitCode(), err}
	}()
	select {
	case <-held:
	case a := <-done:
		return errors.Join(a.err, &mismatch{"a command that waits", a.out})
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.configured(demoOldConfig); err != nil {
		return err
	}
	var pending []api.Approval
	if err := s.query(ctx, &pending, "approvals", "list", "--state", "pending"); err != nil {
		return err
	}
	if len(pending) != 1 {
		return &mismatch{"one pending request", fmt.Sprint(len(pending))}
	}
	shown, code := s.as(ctx, "approver", "approvals", "approve", pending[0].ID, "--comment", "as announced")
	if err := expect(code == exitOK && strings.Contains(shown, "is approved"), "an approval", shown); err != nil {
		return err
	}
	s.p.note("The ssh that waited goes on.")
	a := <-done
	if a.err != nil {
		return errors.Join(a.err, &mismatch{"exit status 0", a.out})
	}
	s.hostSession = pending[0].Origin.Session
	return errors.Join(expectIn(a.out, strings.TrimSpace(demoNewConfig)), s.configured(demoNewConfig))
}

// configured checks the file at the host itself.
func (s *demoStory) configured(want string) error {
	got, err := os.ReadFile(s.w.host.place("conf/app.conf"))
	if err != nil {
		return err
	}
	return expect(string(got) == want, fmt.Sprintf("%q in the file on the host", want), string(got))
}

func playHostReplay(ctx context.Context, s *demoStory) error {
	if s.hostSession == "" {
		return errors.New("no command was held on the host")
	}
	out, code := s.as(ctx, "approver", "sessions", "replay", s.hostSession, "--speed", "0")
	if err := expect(code == exitOK, "a replay", out); err != nil {
		return err
	}
	return expectIn(out, "reporting-agent", "asked the target: where do these paths lead", "changes-need-a-person", "workers = 8", "exit status 0")
}
