namespace Frusta.Contracts.Messages;

/// <summary>How an activation ended; the numbers are OpenWhisk's.</summary>
public enum ActivationStatus : byte
{
    Success = 0,
    ApplicationError = 1,
    DeveloperError = 2,
    WhiskError = 3,
}

/// <summary>The texts that clients see for a status.</summary>
public static class ActivationStatusText
{
    public static ReadOnlySpan<byte> Utf8(ActivationStatus status) => status switch
    {
        ActivationStatus.Success => "success"u8,
        ActivationStatus.ApplicationError => "application error"u8,
        ActivationStatus.DeveloperError => "action developer error"u8,
        _ => "whisk internal error"u8,
    };
}
