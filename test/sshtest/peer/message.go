package peer

// The numbers of messages (RFC 4253, section 12; RFC 4252, section 6; RFC 4254,
// section 9; RFC 8308, section 2.3).
const (
	MsgDisconnect      = 1
	MsgIgnore          = 2
	MsgUnimplemented   = 3
	MsgDebug           = 4
	MsgServiceRequest  = 5
	MsgServiceAccept   = 6
	MsgExtInfo         = 7
	MsgKexInit         = 20
	MsgNewKeys         = 21
	MsgUserauthRequest = 50
	MsgUserauthFailure = 51
	MsgUserauthSuccess = 52
	MsgUserauthBanner  = 53
	MsgUserauthPKOK    = 60
	MsgGlobalRequest   = 80
	MsgRequestSuccess  = 81
	MsgRequestFailure  = 82
	MsgChannelOpen     = 90
	MsgChannelConfirm  = 91
	MsgChannelOpenFail = 92
	MsgWindowAdjust    = 93
	MsgChannelData     = 94
	MsgChannelExtended = 95
	MsgChannelEOF      = 96
	MsgChannelClose    = 97
	MsgChannelRequest  = 98
	MsgChannelSuccess  = 99
	MsgChannelFailure  = 100
)

// Disconnect is SSH_MSG_DISCONNECT (RFC 4253, section 11.1).
type Disconnect struct {
	Reason      uint32 `sshtype:"1"`
	Description string
	Language    string
}

// ServiceRequest is SSH_MSG_SERVICE_REQUEST (RFC 4253, section 10).
type ServiceRequest struct {
	Service string `sshtype:"5"`
}

// ServiceAccept is SSH_MSG_SERVICE_ACCEPT.
type ServiceAccept struct {
	Service string `sshtype:"6"`
}

// UserauthRequest is SSH_MSG_USERAUTH_REQUEST (RFC 4252, section 5).
type UserauthRequest struct {
	User    string `sshtype:"50"`
	Service string
	Method  string
	Rest    []byte `ssh:"rest"`
}

// UserauthFailure is SSH_MSG_USERAUTH_FAILURE (RFC 4252, section 5.1).
type UserauthFailure struct {
	Methods []string `sshtype:"51"`
	Partial bool
}

// Banner is SSH_MSG_USERAUTH_BANNER (RFC 4252, section 5.4).
type Banner struct {
	Message  string `sshtype:"53"`
	Language string
}

// GlobalRequest is SSH_MSG_GLOBAL_REQUEST (RFC 4254, section 4).
type GlobalRequest struct {
	Type      string `sshtype:"80"`
	WantReply bool
	Rest      []byte `ssh:"rest"`
}

// ChannelOpen is SSH_MSG_CHANNEL_OPEN (RFC 4254, section 5.1).
type ChannelOpen struct {
	Type   string `sshtype:"90"`
	Sender uint32
	Window uint32
	Packet uint32
	Rest   []byte `ssh:"rest"`
}

// ChannelConfirm is SSH_MSG_CHANNEL_OPEN_CONFIRMATION.
type ChannelConfirm struct {
	Recipient uint32 `sshtype:"91"`
	Sender    uint32
	Window    uint32
	Packet    uint32
	Rest      []byte `ssh:"rest"`
}

// ChannelOpenFailure is SSH_MSG_CHANNEL_OPEN_FAILURE.
type ChannelOpenFailure struct {
	Recipient   uint32 `sshtype:"92"`
	Reason      uint32
	Description string
	Language    string
}

// WindowAdjust is SSH_MSG_CHANNEL_WINDOW_ADJUST (RFC 4254, section 5.2).
type WindowAdjust struct {
	Recipient uint32 `sshtype:"93"`
	Bytes     uint32
}

// ChannelData is SSH_MSG_CHANNEL_DATA.
type ChannelData struct {
	Recipient uint32 `sshtype:"94"`
	Data      []byte
}

// ChannelExtended is SSH_MSG_CHANNEL_EXTENDED_DATA.
type ChannelExtended struct {
	Recipient uint32 `sshtype:"95"`
	Code      uint32
	Data      []byte
}

// ChannelEOF is SSH_MSG_CHANNEL_EOF (RFC 4254, section 5.3).
type ChannelEOF struct {
	Recipient uint32 `sshtype:"96"`
}

// ChannelClose is SSH_MSG_CHANNEL_CLOSE.
type ChannelClose struct {
	Recipient uint32 `sshtype:"97"`
}

// ChannelRequest is SSH_MSG_CHANNEL_REQUEST (RFC 4254, section 5.4).
type ChannelRequest struct {
	Recipient uint32 `sshtype:"98"`
	Type      string
	WantReply bool
	Rest      []byte `ssh:"rest"`
}

// ChannelSuccess is SSH_MSG_CHANNEL_SUCCESS.
type ChannelSuccess struct {
	Recipient uint32 `sshtype:"99"`
}

// ExitStatus is the rest of a channel request exit-status (RFC 4254, section
// 6.10).
type ExitStatus struct {
	Status uint32
}

// ExitSignal is the rest of a channel request exit-signal.
type ExitSignal struct {
	Signal     string
	CoreDumped bool
	Message    string
	Language   string
}
