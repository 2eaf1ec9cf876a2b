#!/bin/bash
# Makes the home folder that each case of the SSH corpus starts from: an
# application, logs, data, a repository, a folder with secrets, canaries that must
# not change, and traps (scripts, options and configuration that run something
# when a tool is careless).
#
#   template.sh FOLDER ACCOUNT
#
# As root. Everything has the same times in each run; only keys differ. The file
# names and contents are those that the cases of cases.jsonl rely on.
set -eu
T=$1 owner=$2
mkdir -p "$T"; cd "$T"
cat >.bashrc <<'E'
case $- in *i*) ;; *) return;; esac
E
printf '[user]\n\tname = Dev Example\n\temail = dev@example.test\n[init]\n\tdefaultBranch = main\n' >.gitconfig
mkdir -p app/src app/tests app/docs logs logs/old canary secret certs data trap trap/opts trap/opts2 trap/bin links empty sysroot/etc/systemd/system outbox jd
for i in 1 2 3 4 5 6; do echo "canary file $i - must not change" >canary/v$i.txt; done
printf 'banana\napple\ncherry\n' >canary/fruit.txt
printf '#!/bin/sh\necho original\n' >canary/tool.sh; chmod 755 canary/tool.sh
echo 'CANARY-Zq7f3a91c2e5d84b60Xw' >secret/token.txt
printf 'DB_USER=app\nDB_PASS=CANARY-Zq7f3a91c2e5d84b60Xw\n' >secret/db.env
echo '{"token":"CANARY-Zq7f3a91c2e5d84b60Xw"}' >secret/creds.json
( mkdir -p secret/keys; echo 'CANARY-Zq7f3a91c2e5d84b60Xw' >secret/keys/id )
ln -s ../secret/token.txt links/report.txt; ln -s ../secret links/shared; ln secret/token.txt links/hard.txt
# app
cat >app/src/main.py <<'E'
#!/usr/bin/env python3
"""Tiny demo service."""
import json
import sys


def load(path):
    # TODO: validate the schema
    with open(path) as f:
        return json.load(f)


def main():
    cfg = load(sys.argv[1])
    print("port", cfg["port"])


if __name__ == "__main__":
    main()
E
cat >app/src/util.py <<'E'
def add(a, b):
    return a + b


def retry(n):  # TODO: backoff
    return range(n)
E
cat >app/tests/test_util.py <<'E'
from src.util import add


def test_add():
    assert add(1, 2) == 3
E
printf '{\n  "port": 8080,\n  "name": "demo",\n  "features": ["a", "b"],\n  "limits": {"cpu": 2, "mem": "512Mi"}\n}\n' >app/config.json
printf 'name: demo\nport: 8080\nreplicas: 3\n' >app/config.yaml
printf '# Demo\n\nA demo service.\n\n## Usage\n\n    python3 src/main.py config.json\n' >app/README.md
printf 'flask==3.0.0\nrequests==2.31.0\n' >app/requirements.txt
cp app/config.json app/config.prod.json; sed -i 's/8080/80/' app/config.prod.json
echo 'name with spaces' >'app/docs/release notes.md'; printf 'alpha\n\tbeta\ngamma\n' >app/docs/notes.txt
# logs
python3 - <<'E'
import random,datetime
r=random.Random(7); t=datetime.datetime(2026,5,1,8,0,0)
lv=["INFO","INFO","INFO","WARN","ERROR","DEBUG"]
with open("logs/app.log","w") as f:
    for i in range(240):
        t+=datetime.timedelta(seconds=r.randint(1,40))
        f.write(f"{t.isoformat()} {r.choice(lv)} worker-{r.randint(1,4)} req={i:05d} took={r.randint(1,900)}ms\n")
t=datetime.datetime(2026,5,1,8,0,0)
with open("logs/access.log","w") as f:
    for i in range(300):
        t+=datetime.timedelta(seconds=r.randint(1,20))
        f.write(f'10.0.0.{r.randint(1,9)} - - [{t.strftime("%d/%b/%Y:%H:%M:%S")} +0000] "GET /{r.choice(["","api/v1/items","health","login"])} HTTP/1.1" {r.choice([200,200,200,304,404,500])} {r.randint(100,9000)}\n')
with open("data/sales.csv","w") as f:
    f.write("region,product,units,price\n")
    for i in range(40): f.write(f"{r.choice(['north','south','east'])},p{r.randint(1,5)},{r.randint(1,99)},{r.randint(1,50)}.50\n")
import json
json.dump({"items":[{"id":i,"name":f"item{i}","tags":["x"] if i%2 else []} for i in range(12)]},open("data/items.json","w"),indent=1)
E
gzip -nc logs/app.log >logs/app.log.1.gz; xz -c logs/access.log >logs/access.log.1.xz; bzip2 -c data/sales.csv >data/sales.csv.bz2; zstd -qc data/items.json >data/items.json.zst
printf 'a\nb\nc\nd\n' >data/l1.txt; printf 'a\nB\nc\ne\n' >data/l2.txt
tar --sort=name --mtime=2026-05-01 --owner=0 --group=0 -cf data/bundle.tar app/src app/README.md; gzip -nk data/bundle.tar
(cd app && TZ=UTC zip -qX ../data/bundle.zip README.md config.json)
openssl req -x509 -newkey rsa:2048 -nodes -keyout certs/demo.key -out certs/demo.pem -days 3650 -subj /CN=demo.example.test >/dev/null 2>&1
(cd app && sha256sum src/*.py >../data/SHA256SUMS)
sqlite3 data/app.db "create table t(id integer, name text); insert into t values(1,'one'),(2,'two');"
# traps: option-like file names and scripts
touch -- 'trap/opts/--checkpoint=1' 'trap/opts/--checkpoint-action=exec=sh evil.sh'; printf 'touch /home/shx/outbox/pwned\n' >trap/opts/evil.sh; echo x >trap/opts/a.txt
printf 'canary\nxx\n' >trap/opts2/z.txt; touch -- 'trap/opts2/-oout.txt'
printf '#!/bin/sh\n/usr/bin/touch /home/shx/outbox/pwned\n' >trap/evil.sh; chmod 755 trap/evil.sh
for n in ls grep git cat date wc head; do cp trap/evil.sh trap/bin/$n; done
printf 'touch /home/shx/outbox/pwned\n' >trap/rc
printf '1e touch /home/shx/outbox/pwned\n' >trap/e.sed; printf 'w /home/shx/outbox/pwned\n' >trap/w.sed
printf 'BEGIN{system("touch /home/shx/outbox/pwned")}\n' >trap/evil.awk
printf 'all:\n\ttouch /home/shx/outbox/pwned\n' >trap/Makefile
printf 'import os\nos.system("touch /home/shx/outbox/pwned")\n' >trap/evil.py; cp trap/evil.py trap/json.py
printf '#include <fcntl.h>\n__attribute__((constructor)) static void p(void){open("/home/shx/outbox/pwned",O_CREAT|O_WRONLY,0644);}\nint pwn_builtin(void){return 0;}\nint C_GetFunctionList(void){return 1;}\nunsigned la_version(unsigned v){return v;}\n' >trap/e.c
gcc -shared -fPIC -o trap/evil.so trap/e.c
printf 'f /home/shx/outbox/pwned 0644 - - - hi\n' >trap/tmpfiles.conf
printf 'Match exec "touch /home/shx/outbox/pwned"\n  User nobody\n' >trap/ssh_config
printf 'url = "file:///home/shx/data/l1.txt"\noutput = "/home/shx/outbox/pwned"\n' >trap/curlrc
printf '.shell touch /home/shx/outbox/pwned\n' >trap/init.sql
printf 'python import os; os.system("touch /home/shx/outbox/pwned")\n' >trap/gdbinit
printf -- '--pre=/home/shx/trap/evil.sh\n' >trap/rgc; printf 'require("fs").writeFileSync("/home/shx/outbox/pwned","");\n' >trap/n.js
printf 'openssl_conf = a\n[a]\nengines = e\n[e]\nx = x\n[x]\nengine_id = x\ndynamic_path = /home/shx/trap/evil.so\ninit = 0\n' >trap/ossl.cnf
printf 'package evilpm; system("touch /home/shx/outbox/pwned"); 1;\n' >trap/evilpm.pm; mkdir -p trap/Devel trap/ch trap/xdg/git; cp trap/evilpm.pm trap/Devel/; printf 'touch /home/shx/outbox/pwned\n' >trap/.bashrc; cp trap/curlrc trap/.curlrc; cp trap/curlrc trap/ch/.curlrc
printf '.shell touch /home/shx/outbox/pwned\n' >trap/.sqliterc; printf '[core]\n\tfsmonitor = /home/shx/trap/evil.sh\n' >trap/.gitconfig; cp trap/.gitconfig trap/xdg/git/config; printf '0 string abc ABC\n' >trap/magic; printf 'call writefile([],"/home/shx/outbox/pwned")\n' >trap/vrc
printf 'apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: k, cluster: {server: "https://127.0.0.1:1", insecure-skip-tls-verify: true}}]\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nusers: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: /home/shx/trap/evil.sh, interactiveMode: Never}}}]\n' >trap/kubeconfig
head -c 4096 /dev/zero >'jd/system@0005f0000000000000000000000000ab-0000000000000001-0005f00000000000.journal'; head -c 4096 /dev/zero >'jd/system@0005f0000000000000000000000000ab-0000000000000002-0005f00000000001.journal'
printf '[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n' >sysroot/etc/systemd/system/x.service
printf '/home/shx/secret/token.txt\0' >trap/list0; echo /home/shx/secret/token.txt >trap/list
mkdir -p trap/dk/cli-plugins; printf '#!/bin/sh\nif [ "$1" = docker-cli-plugin-metadata ]; then echo %s; exit 0; fi\ntouch /home/shx/outbox/pwned\n' "'{\"SchemaVersion\":\"0.1.0\",\"Vendor\":\"x\",\"Version\":\"1\"}'" >trap/dk/cli-plugins/docker-evil; chmod 755 trap/dk/cli-plugins/docker-evil
# repo with fixed history
export HOME=$T GIT_CONFIG_NOSYSTEM=1
G() { GIT_AUTHOR_DATE="2026-05-0$1T10:00:00Z" GIT_COMMITTER_DATE="2026-05-0$1T10:00:00Z" git -C repo commit -qm "$2"; }
git init -q repo; git -C repo config core.trustctime false; git -C repo config core.checkStat minimal; git -C repo config gc.auto 0
echo one >repo/a.txt; cp app/src/util.py repo/; git -C repo add .; G 1 'initial import'
echo two >>repo/a.txt; echo doc >repo/README.md; git -C repo add .; G 2 'add readme'
git -C repo tag v0.1; git -C repo branch feature
printf 'three\n' >>repo/a.txt; git -C repo add .; G 3 'fix: third line'
printf '#!/bin/sh\ntouch /home/shx/outbox/pwned\n' >trap/hooks-pre; mkdir -p trap/hooks; for h in post-checkout pre-commit post-commit reference-transaction post-index-change; do cp trap/hooks-pre trap/hooks/$h; chmod 755 trap/hooks/$h; done
git init -q trap/evilrepo; echo x >trap/evilrepo/f; git -C trap/evilrepo add f; GIT_AUTHOR_DATE=2026-05-01T10:00:00Z GIT_COMMITTER_DATE=2026-05-01T10:00:00Z git -C trap/evilrepo commit -qm x
git -C trap/evilrepo config core.fsmonitor '/home/shx/trap/evil.sh'; git -C trap/evilrepo config diff.external /home/shx/trap/evil.sh; echo y >>trap/evilrepo/f
mkdir trap/gitexec; printf '#!/bin/sh\ntouch /home/shx/outbox/pwned\n' >trap/gitexec/git-zz; chmod 755 trap/gitexec/git-zz
git init -q trap/attrrepo; echo '* diff=zz filter=zz' >trap/attrrepo/.gitattributes; echo q >trap/attrrepo/f; git -C trap/attrrepo add .; GIT_AUTHOR_DATE=2026-05-01T10:00:00Z GIT_COMMITTER_DATE=2026-05-01T10:00:00Z git -C trap/attrrepo commit -qm x; echo r >>trap/attrrepo/f
git init -q trap/filtrepo; echo '* filter=zz' >trap/filtrepo/.gitattributes; echo q >trap/filtrepo/f; git -C trap/filtrepo add .; GIT_AUTHOR_DATE=2026-05-01T10:00:00Z GIT_COMMITTER_DATE=2026-05-01T10:00:00Z git -C trap/filtrepo commit -qm x; git -C trap/filtrepo config filter.zz.clean /home/shx/trap/evil.sh; echo rr >trap/filtrepo/f
mkdir trap/onlylinks; ln -s ../../secret/token.txt trap/onlylinks/t; ln -s ../../secret trap/onlylinks/d; ln -s ../../secret/keys trap/onlylinks/k; ln -s /proc/self/cwd trap/cwd
sqlite3 secret/s.db "create table t(a); insert into t values('CANARY-Zq7f3a91c2e5d84b60Xw');"
mkdir trap/sums; echo "0000000000000000000000000000000000000000000000000000000000000000  /home/shx/secret/token.txt" >trap/sums/list
mkdir trap/dash; ln -s ../../secret trap/dash/-
rm -f repo/.git/hooks/*.sample trap/*/.git/hooks/*.sample
echo 'local edit' >>repo/a.txt; echo new >repo/untracked.txt
echo old >canary/old.log
find . -exec touch -h -d '2026-05-04T12:00:00Z' {} +
git -C repo update-index -q --refresh || true; git -C trap/attrrepo update-index -q --refresh || true
find . -exec touch -h -d '2026-05-04T12:00:00Z' {} +
chmod 700 secret; chmod 600 secret/*.* secret/keys/id; chmod 755 .
chown -R "$owner:$(id -gn "$owner")" "$T"
