namespace Frusta.Contracts.Messages;

/// <summary>
/// Where it is said that a document was written or deleted, for all who keep something of it: OpenWhisk's topic <c>cacheInvalidation</c>. It is said after the
/// write, and may be said for a write that failed; a listener reads the document as it is now.
/// </summary>
public interface ICacheInvalidation
{
    /// <summary>Says it and does not wait for anybody.</summary>
    void Publish(string documentId);
}

/// <summary>Hears which documents were written or deleted.</summary>
public interface ICacheInvalidationIntake
{
    /// <summary>The document is not any more what it was, or may not be. Never waits.</summary>
    void Invalidated(string documentId);
}
