package sftp

// Extension is a name of an SSH_FXP_EXTENDED request.
type Extension string

// The extensions of OpenSSH that are understood (PROTOCOL, section 4).
const (
	ExtPosixRename     Extension = "posix-rename@openssh.com"
	ExtStatvfs         Extension = "statvfs@openssh.com"
	ExtFstatvfs        Extension = "fstatvfs@openssh.com"
	ExtHardlink        Extension = "hardlink@openssh.com"
	ExtFsync           Extension = "fsync@openssh.com"
	ExtLsetstat        Extension = "lsetstat@openssh.com"
	ExtLimits          Extension = "limits@openssh.com"
	ExtExpandPath      Extension = "expand-path@openssh.com"
	ExtCopyData        Extension = "copy-data"
	ExtHomeDirectory   Extension = "home-directory"
	ExtUsersGroupsByID Extension = "users-groups-by-id@openssh.com"
)

// extensionVersions are the versions in which the extensions are understood, in
// the order in which they are announced.
var extensionVersions = [...]struct {
	name    Extension
	version string
}{
	{ExtPosixRename, "1"},
	{ExtStatvfs, "2"},
	{ExtFstatvfs, "2"},
	{ExtHardlink, "1"},
	{ExtFsync, "1"},
	{ExtLsetstat, "1"},
	{ExtLimits, "1"},
	{ExtExpandPath, "1"},
	{ExtCopyData, "1"},
	{ExtHomeDirectory, "1"},
	{ExtUsersGroupsByID, "1"},
}

// known reports whether the extension is understood in this version.
func known(name Extension, version string) bool {
	for _, e := range extensionVersions {
		if e.name == name && e.version == version {
			return true
		}
	}
	return false
}

// Pair is an extension as INIT and VERSION name it.
type Pair struct{ Name, Data string }

// decodeGreeting decodes INIT and VERSION: the version and the pairs.
func decodeGreeting(packet []byte, t Type) (version uint32, pairs []Pair, err error) {
	c := cursor{b: packet}
	if Type(c.u8()) != t {
		return 0, nil, malformed("not the first packet of the protocol")
	}
	version = c.u32()
	for !c.bad && len(c.b) > 0 {
		if len(pairs) == maxExtensions {
			return 0, nil, malformed("too many extensions")
		}
		pairs = append(pairs, Pair{string(c.str(MaxName)), string(c.str(maxMessage))})
	}
	return version, pairs, c.end()
}

// DecodeInit decodes SSH_FXP_INIT.
func DecodeInit(packet []byte) (version uint32, pairs []Pair, err error) {
	return decodeGreeting(packet, TypeInit)
}

// DecodeVersion decodes SSH_FXP_VERSION.
func DecodeVersion(packet []byte) (version uint32, pairs []Pair, err error) {
	return decodeGreeting(packet, TypeVersion)
}

// AppendInit appends SSH_FXP_INIT of our version, without extensions.
func AppendInit(dst []byte) []byte {
	return append(dst, 0, 0, 0, 5, byte(TypeInit), 0, 0, 0, Version)
}

// AppendVersion appends SSH_FXP_VERSION of our version to the empty dst.
func AppendVersion(dst []byte, pairs []Pair) []byte {
	dst = append(dst[:0], 0, 0, 0, 0, byte(TypeVersion), 0, 0, 0, Version)
	for _, p := range pairs {
		dst = appendString(appendString(dst, p.Name), p.Data)
	}
	return end(dst, 0)
}
