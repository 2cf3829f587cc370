package strict

// chunk takes what is around the data of chunks. On a violation it takes nothing.
func (s *Requests) chunk(p []byte) (int, *Violation) {
	for i, c := range p {
		switch s.state {
		case size:
			switch {
			case class[c]&hexa != 0:
				if s.digits++; s.digits > 15 {
					return 0, chunkSize
				}
				s.left = s.left<<4 | int64(unhex(c))
			case s.digits == 0:
				return 0, chunkSize
			case c == '\r':
				s.state = sizeEnd
			case c == ';':
				s.state = extension
				s.lines = 0
			case c == '\n':
				return 0, bareLF
			default:
				return 0, chunkSize
			}
		case extension:
			if s.lines++; s.lines > maxExtension {
				return 0, chunkExt
			}
			if s.extras++; s.extras > maxExtras {
				return 0, chunkExt
			}
			switch {
			case c == '\r':
				s.state = sizeEnd
			case c == '\n':
				return 0, bareLF
			case class[c]&text == 0 || c >= 0x80:
				return 0, chunkExt
			}
		case sizeEnd:
			if c != '\n' {
				return 0, bareCR
			}
			s.digits = 0
			if s.left > 0 {
				s.state = data
			} else {
				s.state, s.lines, s.seen = trailers, 0, 0
			}
			return i + 1, nil
		case dataEnd:
			if c != '\r' {
				return 0, chunkEnd
			}
			s.state = dataEndEnd
		case dataEndEnd:
			if c != '\n' {
				return 0, chunkEnd
			}
			s.state = size
		}
	}
	return len(p), nil
}

// trailer looks at the name of a field after the last chunk: none may change how the message is read.
func (s *Requests) trailer(name []byte) *Violation {
	if s.lines > maxTrailers {
		return trailerField
	}
	for _, word := range []string{"host", "content-length", "transfer-encoding", "trailer", "te", "connection", "upgrade", "expect", "authorization", "cookie"} {
		if equal(name, word) {
			return trailerField
		}
	}
	return nil
}
