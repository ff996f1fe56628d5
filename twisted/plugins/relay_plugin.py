"""Makes ``twistd relay`` known to twistd."""

from twisted.application.service import ServiceMaker

relay = ServiceMaker("relay", "relay.tap", "A streaming gateway in front of language-model providers.", "relay")
