package ssh

import "context"

func (s *session) sftp(ctx context.Context) { s.refuse(ctx, "sftp", "not here yet") }

func (s *session) scp(ctx context.Context, argv []string) { s.refuse(ctx, "scp", "not here yet") }
