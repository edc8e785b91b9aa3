namespace Frusta.Contracts.Messages;

/// <summary>
/// Tells all parts that keep copies of a document that it was written or deleted: OpenWhisk's topic <c>cacheInvalidation</c>. The news comes after the
/// write, and may come for a write that failed; a listener reads the document as it is now.
/// </summary>
public interface ICacheInvalidation
{
    /// <summary>Publishes the news of a document, and does not wait for what listeners do with it.</summary>
    void Publish(string documentId);
}

/// <summary>Is told which documents were written or deleted.</summary>
public interface ICacheInvalidationIntake
{
    /// <summary>The document has changed, or may have. Never waits.</summary>
    void Invalidated(string documentId);
}
