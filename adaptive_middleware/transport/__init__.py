"""Transport: unchanged OpenAI SDK code gets adaptive samples, below the client and its retries; see docs/openai-sdk.md."""
