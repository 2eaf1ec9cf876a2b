# A client of Paramiko: commands with their statuses and streams, many channels
# of one connection, and SFTP. It prints what it got.
import hashlib
import os
import stat

import paramiko

E = os.environ
remote, local = E["PROOF_REMOTE"], E["PROOF_LOCAL"]
client = paramiko.SSHClient()
client.load_host_keys(E["PROOF_KNOWN_HOSTS"])
client.set_missing_host_key_policy(paramiko.RejectPolicy())
login = {"password": E["PROOF_PASSWORD"]} if E["PROOF_PASSWORD"] else {"key_filename": E["PROOF_KEY"]}
client.connect("127.0.0.1", port=int(E["PROOF_PORT"]), username=E["PROOF_USER"], allow_agent=False, look_for_keys=False, timeout=30, **login)


def run(command, data=None):
    stdin, stdout, stderr = client.exec_command(command, timeout=30)
    if data is not None:
        stdin.write(data)
    stdin.channel.shutdown_write()
    out, err = stdout.read(), stderr.read()
    print(command, stdout.channel.recv_exit_status(), out, err)


run("echo hello")
run("ls /nonexistent")
run("exit 7")
run("cat", b"some input\n")
run("wc -c", b"x" * 1000000)

channels = []
for i in range(10):
    channel = client.get_transport().open_session()
    channel.exec_command("cat; echo %d; exit %d" % (i, i))
    channels.append(channel)
for i, channel in enumerate(channels):
    channel.sendall(b"to %d\n" % i)
    channel.shutdown_write()
for i, channel in enumerate(channels):
    print(i, channel.makefile("rb").read(), channel.recv_exit_status())

sftp = client.open_sftp()
data = hashlib.sha256(b"seed").digest() * 40000
with open(local + "/big", "wb") as f:
    f.write(data)
sftp.put(local + "/big", remote + "/big")
sftp.get(remote + "/big", local + "/back")
print("same", open(local + "/back", "rb").read() == data)
sftp.mkdir(remote + "/folder")
sftp.chmod(remote + "/big", 0o640)
sftp.rename(remote + "/big", remote + "/folder/moved")
sftp.symlink("moved", remote + "/folder/link")
print(sorted(sftp.listdir(remote + "/folder")), sftp.readlink(remote + "/folder/link"))
print(stat.filemode(sftp.stat(remote + "/folder/moved").st_mode), sftp.stat(remote + "/folder/moved").st_size)
with sftp.open(remote + "/folder/new", "w") as f:
    f.write("written\n")
with sftp.open(remote + "/folder/moved", "rb") as f:
    f.seek(100)
    print(f.read(16).hex())
try:
    sftp.stat(remote + "/nothing")
except IOError as e:
    print("stat:", e.errno)
sftp.remove(remote + "/folder/new")
client.close()
