package sshproof_test

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed paramiko/client.py
var paramikoClient string

func TestParamikoWorksTheSameBothWays(t *testing.T) {
	bothWays(t, func(t *testing.T, w *way, remote string) string {
		a := runWith(t, w, remote, paramikoClient)
		if a.status != 0 {
			t.Fatal(a)
		}
		return a.out
	})
}

// runWith runs a Python program that finds the way in its environment.
func runWith(t *testing.T, w *way, remote, source string) answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", source)
	cmd.Env = append(os.Environ(), "PROOF_PORT="+w.port(), "PROOF_USER="+w.user, "PROOF_PASSWORD="+w.password, "PROOF_KEY="+w.keyFile,
		"PROOF_KNOWN_HOSTS="+w.knownHosts, "PROOF_REMOTE="+remote, "PROOF_LOCAL="+t.TempDir(), "PYTHONWARNINGS=ignore")
	var out, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return answer{out.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

const playbook = `- hosts: all
  gather_facts: false
  tasks:
    - ping:
    - command: uname -s
      register: uname
    - assert: {that: ["uname.stdout == 'Linux'", "uname.rc == 0"]}
    - command: "false"
      register: fails
      failed_when: fails.rc != 1
    - copy: {src: "%[1]s", dest: "%[2]s/copied.txt", mode: "0640"}
    - copy: {content: "inline text\n", dest: "%[2]s/inline.txt", mode: "0600"}
    - stat: {path: "%[2]s/copied.txt"}
      register: copied
    - assert: {that: ["copied.stat.exists", "copied.stat.mode == '0640'"]}
    - fetch: {src: "%[2]s/copied.txt", dest: "%[3]s/", flat: true}
    - file: {path: "%[2]s/folder", state: directory, mode: "0755"}
`

func TestAnsiblePlaysAPlaybookBothWays(t *testing.T) {
	bothWays(t, func(t *testing.T, w *way, remote string) string {
		local := t.TempDir()
		source := filepath.Join(local, "source.txt")
		inventory := fmt.Sprintf("%s ansible_python_interpreter=/usr/bin/python3 ansible_remote_tmp=%s/.ansible ansible_ssh_common_args='-F %s'\n", w.host, remote, w.config)
		for name, text := range map[string]string{
			source:                                "copied text\n",
			filepath.Join(local, "inventory"):     inventory,
			filepath.Join(local, "playbook.yaml"): fmt.Sprintf(playbook, source, remote, local+"/fetched"),
			filepath.Join(local, "ansible.cfg"):   "[defaults]\nnocows = true\nhost_key_checking = true\nlocalhost_warning = false\n[ssh_connection]\ncontrol_path_dir = " + local + "/cp\n",
		} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), "ansible-playbook", "-i", filepath.Join(local, "inventory"), filepath.Join(local, "playbook.yaml"))
		cmd.Dir = local
		cmd.Env = append(os.Environ(), "ANSIBLE_CONFIG="+local+"/ansible.cfg", "ANSIBLE_LOCAL_TEMP="+local+"/tmp", "ANSIBLE_NOCOLOR=1", "LC_ALL=C.UTF-8", "HOME="+local)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		fetched, err := os.ReadFile(filepath.Join(local, "fetched", "copied.txt"))
		if err != nil || string(fetched) != "copied text\n" {
			t.Errorf("fetched %q, %v", fetched, err)
		}
		if err := os.RemoveAll(filepath.Join(remote, ".ansible")); err != nil {
			t.Fatal(err)
		}
		_, recap, _ := strings.Cut(string(out), "PLAY RECAP")
		return strings.Join(strings.Fields(strings.ReplaceAll(recap, w.host, "HOST")), " ")
	})
}
