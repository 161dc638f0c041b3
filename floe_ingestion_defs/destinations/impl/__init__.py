"""Implementations, where dlt looks for them: it leaves `.impl.` out of the type that it stores."""
