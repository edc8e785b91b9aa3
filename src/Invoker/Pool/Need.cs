namespace Frusta.Invoker.Pool;

/// <summary>What an action needs of the room.</summary>
internal enum Need : byte
{
    Nothing,

    /// <summary>An idle sandbox of its own is to be counted by its limit again.</summary>
    Wake,

    /// <summary>One more sandbox.</summary>
    Start,
}
