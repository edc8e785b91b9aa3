namespace Frusta.Controller.Api;

/// <summary>A request body of the wrong form. It unwinds the reading of one body only; what is answered is made of its detail.</summary>
internal sealed class MalformedContentException(string detail, bool isBare = false) : Exception(detail)
{
    /// <summary>What the client reads.</summary>
    public ApiAnswer Answer => isBare ? ApiAnswer.Error(400, Message) : ApiAnswer.MalformedContent(Message);
}
